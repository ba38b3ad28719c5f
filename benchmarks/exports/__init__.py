"""Exports: what they compute in their runtimes, and how fast."""
