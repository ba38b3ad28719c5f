"""Commands about the weights: from elsewhere, and out."""
