"""Commands that train a model, and measure it."""
