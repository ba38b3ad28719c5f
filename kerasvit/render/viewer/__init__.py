"""The viewer of attention: one HTML file without network."""
