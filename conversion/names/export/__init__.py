"""A model's weights under the names of its publishers: the way back."""
