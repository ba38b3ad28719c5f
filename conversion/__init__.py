"""From foreign checkpoints to Keras weights: the only room that needs torch or timm."""

from typing import Any

__all__ = ["Conversion", "convert"]


def __getattr__(name: str) -> Any:
    """Import `convert` when it is first used: readers and downloads need no Keras."""
    if name in __all__:
        from kerasvit.conversion import converter

        return getattr(converter, name)
    raise AttributeError(f"module 'kerasvit.conversion' has no attribute {name!r}")
