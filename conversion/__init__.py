"""From foreign checkpoints to Keras weights: the only room that needs torch or timm."""

import importlib
from typing import Any

_MODULES = {
    "Conversion": "converter",
    "convert": "converter",
    "export_weights": "export",
    "verify_file": "proof.verify_file",
}
__all__ = ["Conversion", "convert", "export_weights", "verify_file"]


def __getattr__(name: str) -> Any:
    """Import a function when it is first used: readers and downloads need no Keras."""
    if name in _MODULES:
        module = importlib.import_module(f"kerasvit.conversion.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'kerasvit.conversion' has no attribute {name!r}")
