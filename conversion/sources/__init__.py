"""Where a checkpoint is: on disk, at an address, on the Hub, or a release by its name."""
