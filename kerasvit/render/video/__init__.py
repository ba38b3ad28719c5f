"""Moving pictures: reading and writing them frame by frame."""
