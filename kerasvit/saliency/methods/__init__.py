"""The saliency methods, and what several of them share."""
