"""The angles of rotary positions, by the rule of each family that has them."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from kerasvit.layers.base import require

Grid = tuple[int, int]
Periods = str | Sequence[float]

PERIODS = ("float32", "bfloat16")
# A power in float32 is another one by its last bit on another machine.
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class RotaryRule:
    """How a family of models turns its queries and keys.

    Args:
        coordinates: "index", the number of a patch in its row and in its column, or "centred", the
            middle of a patch in an image whose sides go from -1 to 1.
        order: which of both coordinates the first half of the angles belongs to, "rows" or
            "columns".
        temperature: from which the frequencies, or the periods, fall.
        layout: which elements are turned with each other: neighbours, as "pairs", or the two
            "halves" of a head.
        is_learned: whether the frequencies are weights, one set for each block and head.
    """

    coordinates: str
    order: str
    temperature: float
    layout: str
    is_learned: bool = False


RULES = {
    "dinov3": RotaryRule("centred", "rows", 100.0, "halves"),
    "eva02": RotaryRule("index", "rows", 10000.0, "pairs"),
    "pe": RotaryRule("index", "columns", 10000.0, "pairs"),
    "axial": RotaryRule("index", "columns", 100.0, "pairs"),
    "mixed": RotaryRule("index", "columns", 10.0, "pairs", is_learned=True),
}


def check_periods(periods: Any, head_dim: int) -> None:
    """Raise `UsageError` unless these are periods that heads of this width can have."""
    is_named = isinstance(periods, str) and periods in PERIODS
    is_list = not isinstance(periods, str) and len(periods) == head_dim // 4
    require(
        is_named or (is_list and all(math.isfinite(one) and one > 0 for one in periods)),
        f'The rotary periods must be "float32", "bfloat16" or {head_dim // 4} positive numbers, a '
        f"quarter of a head's width. Received: {periods!r}",
    )


def named_periods(values: Sequence[float], head_dim: int, temperature: float = 100.0) -> Periods:
    """Return what periods are called that follow DINOv3's formula, or their values as a list.

    Args:
        values: as they stand in a file.
        head_dim: width of a head.
        temperature: of the formula.
    """
    given = np.asarray(values, "float32")
    for name in PERIODS:
        wanted = dinov3_periods(head_dim, temperature, name)
        if given.shape == wanted.shape and np.allclose(given, wanted, rtol=_ROUNDING, atol=0):
            return name
    return [float(value) for value in given]


def dinov3_periods(head_dim: int, temperature: float, periods: Periods = "float32") -> np.ndarray:
    """Return the periods of DINOv3's angles, `(d / 4,)` in float32.

    Args:
        head_dim: width d of a head.
        temperature: of the formula.
        periods: "float32", "bfloat16" to round them to it, or the values themselves.
    """
    if not isinstance(periods, str):
        return np.asarray(periods, "float32")
    exponents = np.float32(2) * np.arange(head_dim // 4, dtype="float32") / (head_dim // 2)
    values = np.float32(temperature) ** exponents
    return values.astype(ml_dtypes.bfloat16).astype("float32") if periods == "bfloat16" else values


def axial_frequencies(head_dim: int, temperature: float) -> np.ndarray:
    """Return the frequencies of one coordinate, `(d / 4,)` in float32."""
    count = head_dim // 4
    exponents = np.arange(count, dtype="float32") / np.float32(count)
    return np.float32(1) / np.float32(temperature) ** exponents


def coordinates(
    rule: RotaryRule, grid: Grid, reference_grid: Grid | None = None, offset: float = 0.0
) -> np.ndarray:
    """Return both coordinates of every patch, row by row, in the order that the rule turns by.

    Args:
        rule: of the family.
        grid: `(rows, columns)` of the patches.
        reference_grid: that indices are scaled to, or None.
        offset: added before that.

    Returns:
        Array `(rows * columns, 2)` in float32.
    """
    places = []
    for axis, count in enumerate(grid):
        if rule.coordinates == "centred":
            place = (
                np.arange(count, dtype="float32") + np.float32(0.5) + np.float32(offset)
            ) / count
            places.append(np.float32(2) * place - np.float32(1))
            continue
        place = np.arange(count, dtype="float32") + np.float32(offset)
        if reference_grid is not None:
            place = place / np.float32(count) * np.float32(reference_grid[axis])
        places.append(place)
    rows, columns = np.repeat(places[0], grid[1]), np.tile(places[1], grid[0])
    ordered = (rows, columns) if rule.order == "rows" else (columns, rows)
    return np.stack(ordered, axis=-1)


@functools.lru_cache(maxsize=32)
def rotary_tables(
    rule: RotaryRule,
    head_dim: int,
    grid: Grid,
    num_prefix: int = 0,
    reference_grid: Grid | None = None,
    offset: float = 0.0,
    periods: str | tuple[float, ...] = "float32",
) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and sine of the angles of a rule whose frequencies are fixed.

    Args:
        rule: of the family.
        head_dim: width d of a head.
        grid: `(rows, columns)` of the patches.
        num_prefix: tokens before the patches, whose angles are zero.
        reference_grid, offset, periods: see `RotaryEmbedding`.

    Returns:
        Two arrays `(num_prefix + rows * columns, d / 2)` in float32, not to be changed.
    """
    places = coordinates(rule, grid, reference_grid, offset)[:, :, None]
    if rule.coordinates == "centred":
        angles = (
            np.float32(2 * math.pi) * places / dinov3_periods(head_dim, rule.temperature, periods)
        )
    else:
        angles = places * axial_frequencies(head_dim, rule.temperature)
    angles = angles.reshape(len(places), head_dim // 2)
    angles = np.concatenate([np.zeros((num_prefix, head_dim // 2), "float32"), angles])
    return np.cos(angles), np.sin(angles)
