"""Names of the networks of Hugging Face's `transformers`; DINOv3's stand with those of Meta."""
