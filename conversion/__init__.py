"""From foreign checkpoints to Keras weights: the only room that needs torch or timm."""
