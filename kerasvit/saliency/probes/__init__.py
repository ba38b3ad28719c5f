"""Measures of what a model holds: attention, features, filters."""
