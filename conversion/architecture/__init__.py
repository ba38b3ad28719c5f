"""Which of our models a checkpoint is, read off its tensors."""
