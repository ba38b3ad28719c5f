"""Keras' own layers and operations in the form that is fastest on each backend."""
