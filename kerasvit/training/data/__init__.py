"""Training pictures: found, read, varied and put into batches."""
