"""Transformer blocks: their common frame and each kind of block."""
