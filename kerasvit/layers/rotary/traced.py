"""The angles of `kerasvit.layers.rotary.rules` as operations, for grids known in a run alone."""

import math
from typing import Any

from keras import ops

from kerasvit.layers.rotary.rules import (
    Grid,
    RotaryRule,
    axial_frequencies,
    dinov3_periods,
)


def traced_coordinates(
    rule: RotaryRule,
    grid: tuple[Any, Any],
    reference_grid: Grid | None = None,
    offset: float = 0.0,
):
    """Do what `kerasvit.layers.rotary.rules.coordinates` does, for whole scalars of the backend."""
    sides = []
    for axis, count in enumerate(grid):
        numbers = ops.arange(count, dtype="int32")
        length = ops.cast(0 * numbers + count, "float32")
        place = ops.cast(numbers, "float32") + offset
        if rule.coordinates == "centred":
            place = 2.0 * ((place + 0.5) / length) - 1.0
        elif reference_grid is not None:
            place = place / length * float(reference_grid[axis])
        sides.append(place)
    rows, columns = sides[0][:, None], sides[1][None, :]
    whole = [rows + 0.0 * columns, columns + 0.0 * rows]
    ordered = whole if rule.order == "rows" else whole[::-1]
    return ops.stack([ops.reshape(place, (-1,)) for place in ordered], axis=-1)


def traced_tables(
    rule: RotaryRule,
    head_dim: int,
    grid: tuple[Any, Any],
    num_prefix: int = 0,
    reference_grid: Grid | None = None,
    offset: float = 0.0,
    periods: str | tuple[float, ...] = "float32",
):
    """Do what `kerasvit.layers.rotary.rules.rotary_tables` does, for scalars of the backend."""
    places = traced_coordinates(rule, grid, reference_grid, offset)[:, :, None]
    if rule.coordinates == "centred":
        scale = dinov3_periods(head_dim, rule.temperature, periods)
        angles = 2 * math.pi * places / ops.convert_to_tensor(scale)
    else:
        angles = places * ops.convert_to_tensor(axial_frequencies(head_dim, rule.temperature))
    angles = ops.reshape(angles, (-1, head_dim // 2))
    angles = ops.concatenate([ops.zeros((num_prefix, head_dim // 2), "float32"), angles], axis=0)
    return ops.cos(angles), ops.sin(angles)
