"""timm as the reference: its models, and the scores that it does not return."""
