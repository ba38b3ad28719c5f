"""Values between 0 and 1 as colours."""

import types

import numpy as np

from kerasvit.errors import InputError, UsageError


def colourise(values: np.ndarray | np.floating | float, colormap: str = "cividis") -> np.ndarray:
    """Return the colours of values.

    Args:
        values: any shape, in [0, 1].
        colormap: a name that Matplotlib knows. The default reads the same with and without colour
            blindness, and its lightness rises evenly.

    Returns:
        uint8, the shape of `values` with an axis of red, green, blue at the end.

    Raises:
        InputError: if a value is NaN or outside [0, 1].
        UsageError: if there is no such colormap.
    """
    colormaps = import_matplotlib().colormaps
    values = np.asarray(values, dtype=np.float32)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise InputError(
            "Only values from 0 to 1 have a colour. "
            f"Received: from {values.min():.3g} to {values.max():.3g}. Normalise the map first."
        )
    if colormap not in colormaps:
        raise UsageError(
            f"Matplotlib has no such colormap. Received: colormap={colormap!r}. "
            "Choose cividis, viridis, inferno, magma, gray, or another of its names."
        )
    # For a single number Matplotlib returns a tuple.
    return np.asarray(colormaps[colormap](values, bytes=True), np.uint8)[..., :3]


def import_matplotlib() -> types.ModuleType:
    """Return Matplotlib, which holds the colours and the fonts.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError(
            "Pictures need Matplotlib. Received: not installed. "
            'Install it with: pip install "matplotlib>=3.8"'
        ) from error
    return matplotlib
