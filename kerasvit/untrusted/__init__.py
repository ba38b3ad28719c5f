"""What a stranger's file may ask for: one door with limits, before any reader opens it."""
