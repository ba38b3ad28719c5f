"""Files of models, opened as what a stranger may have made."""
