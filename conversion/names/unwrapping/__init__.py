"""Finding one network, its head and nothing else in all that a training script saves."""

from kerasvit.conversion.names.unwrapping.unwrapper import unwrap

__all__ = ["unwrap"]
