"""The matrices of `position_resampling` as operations, for grids that are known in a run alone.

A traced program with a dynamic height and width holds formulas in place of numbers. They count in
whole numbers up to the last division, so that no place, however far from the origin, loses digits.
"""

import functools
from collections.abc import Callable
from typing import Any

from keras import ops

from kerasvit.layers.position_resampling import resampling_matrix


def are_known(*sizes: Any) -> bool:
    """Tell whether sizes are numbers, not the scalars of a trace."""
    return all(isinstance(size, int) for size in sizes)


def resampling_matrices(old_grid: tuple[int, int], new_grid: tuple[Any, Any], rule: str) -> tuple:
    """Return the tensors that resample rows and columns, of numbers where the sizes are known.

    Arguments and result are those of `traced_matrices`.
    """
    if not are_known(*new_grid):
        return traced_matrices(old_grid, new_grid, rule)
    return tuple(
        ops.convert_to_tensor(resampling_matrix(old, new, rule))
        for old, new in zip(old_grid, new_grid, strict=True)
    )


def resampled(values, rows, columns):
    """Apply the matrices of both axes to values `(rows, columns, C)` of any grid."""
    height, width, channels = values.shape
    by_row = ops.matmul(rows, ops.reshape(values, (height, width * channels)))
    return ops.matmul(columns, ops.reshape(by_row, (-1, width, channels)))


def traced_matrices(old_grid: tuple[int, int], new_grid: tuple[Any, Any], rule: str) -> tuple:
    """Return the matrices that resample rows and columns of a position grid.

    Args:
        old_grid: `(rows, columns)` that the weights were trained with.
        new_grid: `(rows, columns)` wanted, whole scalars of the backend.
        rule: see `kerasvit.layers.position_resampling.resampling_matrix`.

    Returns:
        float32 tensors `(new rows, old rows)` and `(new columns, old columns)`: identities where
        both grids are the same.
    """
    make = _MATRICES[rule]
    matrices = [make(old, new) for old, new in zip(old_grid, new_grid, strict=True)]
    if rule == "bicubic_offset":
        # The others' are identities anyway.
        matrices = [_unless_same(matrix, old_grid, new_grid) for matrix in matrices]
    return tuple(matrices)


def _unless_same(matrix, old_grid, new_grid):
    new_size, old_size = ops.shape(matrix)
    zeros = 0 * _places(new_size)
    is_same = ops.logical_and(
        zeros + new_grid[0] == old_grid[0], zeros + new_grid[1] == old_grid[1]
    )
    identity = ops.cast(_places(new_size)[:, None] == _places(old_size), matrix.dtype)
    return ops.where(is_same[:, None], identity, matrix)


def _places(size):
    return ops.arange(size, dtype="int32")


def _quotient(numerator, denominator):
    return ops.cast(numerator, "float32") / ops.cast(denominator, "float32")


def _antialiased(old_size, new_size):
    """The kernel, a = -0.5, widened when shrinking; renormalised where borders cut it."""
    places = _places(new_size)
    centers = (2 * places + 1) * old_size
    sources = (2 * _places(old_size) + 1) * new_size
    larger = ops.maximum(0 * places + new_size, old_size)
    distance = _quotient(centers[:, None] - sources, 2 * larger[:, None])
    weights = _cubic(distance, -0.5)
    return weights / ops.sum(weights, axis=1, keepdims=True)


def _interpolated(old_size, new_size, places_of, kernel):
    """Four taps around each source position, border values repeated."""
    numerator, denominator = places_of(old_size, new_size)
    # Above -1: a whole number more keeps the division of integers from rounding up.
    first = (numerator + denominator) // denominator - 1
    fraction = _quotient(numerator - first * denominator, denominator)
    matrix = ops.zeros((1, 1))
    for tap in range(-1, 3):
        index = ops.clip(first + tap, 0, old_size - 1)
        is_here = index[:, None] == _places(old_size)
        matrix = matrix + ops.cast(is_here, "float32") * kernel(fraction - tap)[:, None]
    return matrix


def _half_pixels(old_size, new_size, scale=1, offset=0):
    """Return the source positions as quotients: (i + 0.5) old / (new + offset / scale) - 0.5."""
    places = _places(new_size)
    whole = scale * new_size + offset
    return scale * (2 * places + 1) * old_size - whole, 0 * places + 2 * whole


def _positive_half_pixels(old_size, new_size):
    numerator, denominator = _half_pixels(old_size, new_size)
    return ops.maximum(numerator, 0), denominator


def _aligned_corners(old_size, new_size):
    places = _places(new_size)
    return places * (old_size - 1), ops.maximum(0 * places + new_size - 1, 1)


def _linear(distance):
    return ops.maximum(1 - ops.abs(distance), 0)


def _cubic(distance, a: float):
    """Do what `kerasvit.numerics.cubic` does, in factors that lose nothing in float32."""
    d = ops.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (d - 1) * (d - 2) * (d - 2)
    return ops.where(d <= 1, near, ops.where(d < 2, far, 0.0))


_torch_cubic = functools.partial(_cubic, a=-0.75)
_MATRICES: dict[str, Callable[[int, Any], Any]] = {
    "bicubic_antialias": _antialiased,
    "bicubic_offset": functools.partial(
        _interpolated,
        places_of=functools.partial(_half_pixels, scale=10, offset=1),
        kernel=_torch_cubic,
    ),
    "bicubic": functools.partial(_interpolated, places_of=_half_pixels, kernel=_torch_cubic),
    "bilinear": functools.partial(_interpolated, places_of=_positive_half_pixels, kernel=_linear),
    "bilinear_align_corners": functools.partial(
        _interpolated, places_of=_aligned_corners, kernel=_linear
    ),
}
