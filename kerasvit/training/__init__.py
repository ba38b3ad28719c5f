"""Training, fine-tuning and evaluation: data, recipes, losses and runs."""
