"""Training recipes: TOML files, their tables and the rules of their fields."""
