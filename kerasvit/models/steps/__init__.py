"""Steps of `fit` and `evaluate`: on the logits alone, and on JAX with weights side by side."""
