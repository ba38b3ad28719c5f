"""Pictures of features: components as colours, likeness of patches, matches, and their page."""
