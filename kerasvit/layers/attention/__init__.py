"""Every kind of attention, each returning its scores."""
