"""What no tensor of a checkpoint says, and where each such fact comes from."""
