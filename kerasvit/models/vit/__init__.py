"""The Vision Transformer, its parts and its named variants."""
