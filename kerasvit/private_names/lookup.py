"""Looking a name up that may be gone, and saying once what follows where it is."""

import contextlib
import functools
import importlib
import warnings
from typing import Any

import keras


def name_in(module: str, name: str) -> Any:
    """Return what a module calls by this name, or None where either is missing."""
    with contextlib.suppress(ImportError):
        return getattr(importlib.import_module(module), name, None)
    return None


@functools.cache
def warn(consequence: str) -> None:
    """Warn, once, that a name is missing.

    Args:
        consequence: what follows.
    """
    warnings.warn(
        f"Keras {keras.__version__} or its backend lacks a private name that kerasvit knows: "
        f"{consequence}. Look for a newer kerasvit.",
        stacklevel=4,
    )
