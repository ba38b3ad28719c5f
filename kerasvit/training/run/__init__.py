"""A training run: its model, data, state and files, from the first step to the last."""
