"""CaiT and its named variants."""
