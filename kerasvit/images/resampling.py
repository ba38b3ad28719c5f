"""Resampling of arrays: maps on a grid, sampled at any position.

A grid of n cells covers the interval [0, n]; cell i covers [i, i + 1] and its value sits at the
centre, i + 0.5. All functions here measure positions in these cell units, so that a patch grid and
a picture are aligned by their outlines, and no half-pixel shift can creep in.
"""

import math
from collections.abc import Callable

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.numerics import cubic


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(distance))


_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (cubic, 2),
}
INTERPOLATIONS = ("nearest", *_KERNELS)


def resize_array(
    values: np.ndarray, size: tuple[int, int], interpolation: str = "bilinear"
) -> np.ndarray:
    """Resize the last two axes of an array, outline on outline.

    Enlarging with "bilinear" is what PyTorch calls `align_corners=False`. Shrinking widens the
    kernel by the factor of reduction (antialiasing), as Pillow does. Beyond the border the edge
    value is repeated.

    Args:
        values: array `(..., h, w)`, finite unless `interpolation` is "nearest".
        size: `(height, width)` of the result, both at least 1.
        interpolation: "nearest", "bilinear", or "bicubic" (a = -0.5). The result never leaves the
            range of the map that it comes from: the cubic's overshoot is cut off.

    Returns:
        Array `(..., height, width)`: the dtype of `values` for "nearest", else float64 for
        float64 and float32 for everything else.

    Raises:
        UsageError: for an unknown interpolation, a size below 1 or fewer than two axes.
        InputError: if a value is NaN or infinite and has to be mixed with its neighbours.
    """
    values = np.asarray(values)
    if len(size) != 2 or min(size) < 1:
        raise UsageError(f"A size is (height, width), each at least 1. Received: size={size}.")
    _check_grid(values)
    (height, width), (new_height, new_width) = values.shape[-2:], size
    rows = (np.arange(new_height) + 0.5) * height / new_height
    columns = (np.arange(new_width) + 0.5) * width / new_width
    spacing = height / new_height, width / new_width
    return sample_grid(values, rows, columns, spacing, interpolation)


def sample_grid(
    values: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    spacing: tuple[float, float],
    interpolation: str = "bilinear",
) -> np.ndarray:
    """Sample the last two axes of an array at evenly spaced rows and columns.

    Args:
        values: array `(..., h, w)`; see `resize_array`.
        rows: float `(m,)`, positions along h in cell units: 0 is the upper outline, h the lower.
        columns: float `(n,)`, positions along w in cell units.
        spacing: `(vertical, horizontal)` distance between neighbouring samples in cell units;
            above 1 the array shrinks, and the kernel is widened by as much.
        interpolation: see `resize_array`.

    Returns:
        Array `(..., m, n)`; dtype, range and errors as for `resize_array`.
    """
    values = np.asarray(values)
    _check_grid(values)
    if interpolation not in INTERPOLATIONS:
        raise UsageError(
            f"An array is resampled by one of {', '.join(INTERPOLATIONS)}. "
            f"Received: interpolation={interpolation!r}."
        )
    height, width = values.shape[-2:]
    if interpolation == "nearest":
        return values[..., _cells(rows, height)[:, None], _cells(columns, width)]
    if values.dtype != np.float64:
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(
            "A map with NaN or infinite values cannot be interpolated: they would spread. "
            f"Received: {np.count_nonzero(~np.isfinite(values))} such values of {values.size}. "
            'Mend them first, or use interpolation="nearest".'
        )
    vertical = _weights(rows, height, spacing[0], interpolation).astype(values.dtype)
    horizontal = _weights(columns, width, spacing[1], interpolation).astype(values.dtype)
    sampled = vertical @ values @ horizontal.T
    lowest = values.min(axis=(-2, -1), keepdims=True)
    highest = values.max(axis=(-2, -1), keepdims=True)
    return np.clip(sampled, lowest, highest, out=sampled)


def _check_grid(values: np.ndarray) -> None:
    if values.ndim < 2 or min(values.shape[-2:]) < 1:
        raise UsageError(
            "A map has the axes (..., height, width), with at least one cell. "
            f"Received: shape={values.shape}."
        )


def _cells(positions: np.ndarray, cells: int) -> np.ndarray:
    """Return the index of the cell that each position falls into, the border cells extended."""
    return np.clip(np.floor(positions).astype(int), 0, cells - 1)


def _weights(positions: np.ndarray, cells: int, spacing: float, interpolation: str) -> np.ndarray:
    """Return the matrix `(len(positions), cells)` that samples a row of cells; rows sum to 1."""
    kernel, radius = _KERNELS[interpolation]
    stretch = max(1.0, spacing)
    reach = math.ceil(radius * stretch)
    before = np.floor(positions - 0.5).astype(int)
    taps = before[:, None] + np.arange(1 - reach, reach + 1)
    weights = kernel((taps + 0.5 - positions[:, None]) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(positions), cells))
    rows = np.arange(len(positions))[:, None]
    np.add.at(matrix, (rows, np.clip(taps, 0, cells - 1)), weights)
    return matrix
