"""Pictures of saliency maps."""
