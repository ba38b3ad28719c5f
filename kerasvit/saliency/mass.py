"""DINO's mask of the attention's mass: the few patches that hold most of it."""

import numpy as np

from kerasvit.errors import InputError, UsageError

# Only rounding of the float64 sum may decide nothing: ten equal patches at 0.6 keep six, not seven.
_ROUNDING = 1e-12


def mass_mask(maps: np.ndarray, mass: float = 0.6) -> np.ndarray:
    """Return the smallest set of patches that holds at least a given share of each map's mass.

    Args:
        maps: `(..., rows, columns)`, not negative; each map counts on its own and need not sum
            to 1. Among equal values the earlier patch, row by row, is kept first.
        mass: the share to keep, in (0, 1]. Defaults to DINO's 0.6.

    Returns:
        bool `(..., rows, columns)`, true for the patches kept. A map of zeros keeps none.

    Raises:
        InputError: if a map holds a negative value (CaiT's self-attention scores after the second
            head mixing do), NaN or infinity.
        UsageError: if `mass` is out of range.

    Source: Caron et al. 2021, figure 4 and the threshold of its visualisation script
    (https://arxiv.org/abs/2104.14294).
    """
    if not 0 < mass <= 1:
        raise UsageError(
            f"The mass to keep is a share. Received: mass={mass!r}. Choose it above 0 and up to 1."
        )
    maps = np.asarray(maps, dtype=np.float64)
    if not (np.isfinite(maps).all() and (maps >= 0).all()):
        lowest = np.nanmin(maps, initial=np.inf)
        raise InputError(
            "A mass mask needs values that are finite and not negative. "
            f"Received: values down to {lowest:.3g}{' and NaN' if np.isnan(maps).any() else ''}. "
            "Use attention scores that are probabilities, such as class attention."
        )
    flat = maps.reshape(*maps.shape[:-2], -1)
    order = np.argsort(-flat, axis=-1, kind="stable")
    ranked = np.take_along_axis(flat, order, axis=-1)
    # A patch is kept while those ranked above it hold too little.
    above = np.cumsum(ranked, axis=-1) - ranked
    kept = above < mass * ranked.sum(axis=-1, keepdims=True) * (1 - _ROUNDING)
    mask = np.zeros(flat.shape, dtype=bool)
    np.put_along_axis(mask, order, kept, axis=-1)
    return mask.reshape(maps.shape)
