"""Bringing maps to a common range without hiding that a map said nothing."""

from typing import NamedTuple

import numpy as np

from kerasvit.errors import InputError, UsageError

METHODS = ("minmax", "max", "sum", "percentile", None)

# A softmax over equal logits differs in its last bits; stretching these would draw a picture of
# rounding errors.
_FLAT = 1e-6
# Patches whose height above the lowest one is so many times that of the next are outliers.
_OUTSHINES = 1.5


class Normalised(NamedTuple):
    """Normalised maps, and which of them held no difference between patches.

    Args:
        values: float32, shaped as the maps.
        flat: bool, true for each map whose values were all equal; shaped as the maps with the
            normalised axes kept at size 1.
    """

    values: np.ndarray
    flat: np.ndarray


def normalise(
    maps: np.ndarray,
    method: str | None = "minmax",
    axes: tuple[int, ...] = (-2, -1),
    percentiles: tuple[float, float] = (1.0, 99.0),
) -> Normalised:
    """Scale maps for drawing or for comparison.

    Args:
        maps: `(..., rows, columns)`, finite.
        method: `"minmax"`, lowest to 0 and highest to 1; `"percentile"`, the same after clipping
            to `percentiles`, against single outliers such as a register; `"max"`, zero stays and
            highest to 1, negative values to 0; `"sum"`, negative values to 0 and sum 1; None,
            unchanged.
        axes: what shares one scale: each map alone by default, `(-3, -2, -1)` for all heads.
        percentiles: the lower and the upper one, in [0, 100].

    Returns:
        The values and the flags of flat maps. A flat map becomes zeros, except that `"sum"` spreads
        a positive one evenly.

    Raises:
        InputError: if the maps hold NaN or infinity.
        UsageError: if the method or the percentiles are unknown.
    """
    _check(maps, method, percentiles)
    values = np.asarray(maps, dtype=np.float64)
    low, high = values.min(axis=axes, keepdims=True), values.max(axis=axes, keepdims=True)
    flat = high - low <= _FLAT * np.maximum(np.abs(low), np.abs(high))
    if method is None:
        return Normalised(values.astype(np.float32), flat)
    if method == "sum":
        values = np.maximum(values, 0)
        shares = _divide(values, values.sum(axis=axes, keepdims=True))
        return Normalised(shares.astype(np.float32), flat)
    if method == "max":
        low = np.zeros_like(low)
    elif method == "percentile":
        low, high = _clipped_range(values, low, high, axes, percentiles)
    scaled = _divide(values - low, np.where(flat, 0, high - low))
    return Normalised(np.clip(scaled, 0, 1).astype(np.float32), flat)


class Clipped(NamedTuple):
    """Maps without the patches that outshone the rest, and which of them had such.

    Args:
        values: shaped as the maps.
        clipped: bool, true for each map that was changed; shaped as the maps with the axes kept at
            size 1.
    """

    values: np.ndarray
    clipped: np.ndarray


def clip_brightest(maps: np.ndarray, axes: tuple[int, ...] = (-2, -1)) -> Clipped:
    """Bring patches that outshine the rest down to the rest, so that a drawing shows both.

    One patch can hold most of a map: a register, or a token that the model uses as one. The largest
    1 % of the patches, at least one, are cut to the next largest where they exceed it by more than
    half. Unlike a percentile of the values this rids a map of 64 patches of its one outlier too,
    and leaves a map alone that has none.

    Args:
        maps: `(..., rows, columns)`, finite.
        axes: what shares one scale, as for `normalise`.

    Returns:
        The values and the flags. A map with nothing but its largest patches stays as it is.
    """
    values = np.asarray(maps)
    lowest = values.min(axis=axes, keepdims=True)
    highest = values.max(axis=axes, keepdims=True)
    moved = np.moveaxis(values, axes, tuple(range(-len(axes), 0)))
    ordered = np.sort(moved.reshape(*moved.shape[: -len(axes)], -1), axis=-1)
    brightest = -(-ordered.shape[-1] // 100)
    # A map of one patch has no next largest.
    level = ordered[..., max(ordered.shape[-1] - 1 - brightest, 0)].reshape(lowest.shape)
    rises = level - lowest > _FLAT * np.maximum(np.abs(lowest), np.abs(highest))
    clipped = rises & (highest - lowest > _OUTSHINES * (level - lowest))
    return Clipped(np.where(clipped, np.minimum(values, level), values), clipped)


def _clipped_range(
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    axes: tuple[int, ...],
    percentiles: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentiles, or the full range where a sparse map leaves nothing between them."""
    lower, upper = np.percentile(values, percentiles, axis=axes, keepdims=True)
    sparse = upper - lower <= _FLAT * np.maximum(np.abs(low), np.abs(high))
    return np.where(sparse, low, lower), np.where(sparse, high, upper)


def _divide(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Divide, with zeros where the divisor is not positive."""
    return np.divide(values, by, out=np.zeros_like(values), where=by > 0)


def _check(maps: np.ndarray, method: str | None, percentiles: tuple[float, float]) -> None:
    if method not in METHODS:
        raise UsageError(
            f"There is no such normalisation. Received: method={method!r}. "
            f"Choose one of {', '.join(map(repr, METHODS))}."
        )
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise UsageError(
            "The percentiles rise and lie between 0 and 100. "
            f"Received: percentiles={percentiles!r}."
        )
    if not np.isfinite(maps).all():
        raise InputError(
            "Maps must be finite to be normalised. Received: NaN or infinity. "
            "Check the model's weights and its input."
        )
