"""What is in a file: every kind of checkpoint as named tensors, read lazily, never executed."""
