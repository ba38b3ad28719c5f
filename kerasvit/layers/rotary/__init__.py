"""Rotary positions: queries and keys are turned by angles that their places give."""
