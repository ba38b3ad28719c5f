"""Which pictures a run draws and where to, decided before any work."""
