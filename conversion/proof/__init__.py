"""Whether a converted model is its source: the comparison of outputs and score maps."""
