"""Records of pretrained releases, one TOML file for each family."""
