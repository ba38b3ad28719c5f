"""A map laid over its photograph."""

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.render.colour import colourise

STYLES = ("fade", "blend", "modulate", "heatmap", "mask")

# Rec. 601 luma, as in PIL's conversion to grey.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# What the model did not see keeps its shapes, at this share of its brightness.
_DIMMED = 0.45
# Up to this value "fade" leaves the photograph as it is; above, the cover grows with this power, so
# that values in the middle are seen.
FADED = 0.2
_GROWTH = 0.6
# "blend" lays so much of its full cover over the photograph where the map is 0.
_FLOOR = 0.6
# Under a full cover the photograph loses so much of its own colour, which would mix with the map's.
_DESATURATION = 0.85
# The map's colours carry so much of the photograph's light and shade.
_SHADING = 0.4


def overlay(
    image: np.ndarray,
    values: np.ndarray,
    colormap: str = "cividis",
    alpha: float = 0.7,
    style: str = "fade",
) -> np.ndarray:
    """Draw a map over the photograph that it belongs to.

    Args:
        image: uint8 `(H, W, 3)`.
        values: `(H, W)` in [0, 1], as `Geometry.place` lays it; NaN where the model saw nothing,
            which shows as the photograph in dim grey. For `"mask"`, bool, or 0 and 1.
        colormap: see `colourise`.
        alpha: in [0, 1], how much the map covers the photograph where it is highest; for `"mask"`,
            how far the rest recedes. `"modulate"` and `"heatmap"` do not use it.
        style: `"fade"`, the map's colour over the photograph, the more of it the higher the map;
            where it is low, the photograph is as it was; `"blend"`, the map's colour over the whole
            photograph, half grey, stronger where the map is higher; `"modulate"`, the
            grey photograph times the map, in the map's colours; `"heatmap"`, the map alone;
            `"mask"`, the chosen part as it is within an outline, the rest grey and dark.

    Returns:
        uint8 `(H, W, 3)`.

    Raises:
        InputError: if the image is not uint8 RGB, the shapes differ, or a value is out of range.
        UsageError: if the style is unknown or `alpha` is out of range.

    Source: `"modulate"` is figure 7 of Touvron et al. 2021 (https://arxiv.org/abs/2103.17239);
    `"mask"` follows figure 4 of Caron et al. 2021 (https://arxiv.org/abs/2104.14294).
    """
    _check(image, values, alpha, style)
    outside = np.isnan(values)
    inside_values = np.where(outside, 0, values).astype(np.float32)
    photograph = image.astype(np.float32)
    grey = photograph @ _LUMA
    if style == "mask":
        drawn = _mask(photograph, grey, inside_values, alpha)
    elif style == "modulate":
        drawn = colourise(inside_values * grey / 255, colormap).astype(np.float32)
    else:
        drawn = colourise(inside_values, colormap).astype(np.float32)
        if style == "fade":
            drawn = _fade(photograph, grey, inside_values, drawn, alpha)
        elif style == "blend":
            drawn = _blend(photograph, grey, inside_values, drawn, alpha)
    drawn[outside] = _DIMMED * grey[outside, None]
    return np.rint(drawn).astype(np.uint8)


def _fade(
    photograph: np.ndarray, grey: np.ndarray, values: np.ndarray, colours: np.ndarray, alpha: float
) -> np.ndarray:
    """Return the map's colours over the photograph where the map is high, and nothing elsewhere."""
    weight = alpha * np.clip((values - FADED) / (1 - FADED), 0, 1)[..., None] ** _GROWTH
    return photograph * (1 - weight) + _shaded(colours, grey) * weight


def _blend(
    photograph: np.ndarray, grey: np.ndarray, values: np.ndarray, colours: np.ndarray, alpha: float
) -> np.ndarray:
    """Return the map's colours, shaded by the photograph, over the photograph, half grey."""
    pale = alpha * _DESATURATION
    ground = photograph * (1 - pale) + grey[..., None] * pale
    weight = alpha * (_FLOOR + (1 - _FLOOR) * values)[..., None]
    return ground * (1 - weight) + _shaded(colours, grey) * weight


def _shaded(colours: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Return colours with some of the photograph's light and shade."""
    # Against the photograph's own mean, so that a dark one does not swallow the map.
    shade = 1 + _SHADING * (np.clip(grey / max(grey.mean(), 1), 0, 2) - 1)
    return np.minimum(colours * shade[..., None], 255)


def _mask(photograph: np.ndarray, grey: np.ndarray, values: np.ndarray, alpha: float) -> np.ndarray:
    """Return the chosen part as it is, outlined, and the rest grey and dark."""
    chosen = values >= 0.5
    receding = photograph * (1 - alpha) + alpha * _DIMMED * grey[..., None]
    drawn = np.where(chosen[..., None], photograph, receding)
    thickness = max(1, round(min(chosen.shape) / 150))
    drawn[_grown(chosen, thickness) & ~chosen] = colourise(np.ones(()))
    return drawn


def _grown(mask: np.ndarray, steps: int) -> np.ndarray:
    """Return the mask and the pixels within `steps` of it, horizontally, vertically or both."""
    grown = mask.copy()
    for axis in (0, 1):
        source = grown.copy()
        for step in range(1, steps + 1):
            ahead = [slice(None)] * 2
            behind = [slice(None)] * 2
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            grown[tuple(ahead)] |= source[tuple(behind)]
            grown[tuple(behind)] |= source[tuple(ahead)]
    return grown


def _check(image: np.ndarray, values: np.ndarray, alpha: float, style: str) -> None:
    if style not in STYLES:
        raise UsageError(
            f"There is no such style. Received: style={style!r}. "
            f"Choose one of {', '.join(map(repr, STYLES))}."
        )
    if not 0 <= alpha <= 1:
        raise UsageError(f"Alpha lies between 0 and 1. Received: alpha={alpha!r}.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            "The photograph must be uint8 (H, W, 3). "
            f"Received: {image.dtype} {image.shape}. Read it with kerasvit.images.read."
        )
    if values.shape != image.shape[:2]:
        raise InputError(
            "The map must have a value for each pixel of the photograph. "
            f"Received: map {values.shape}, photograph {image.shape[:2]}. "
            "Lay it on with Geometry.place first."
        )
    if style == "mask" and not np.isin(values[~np.isnan(values)], (0, 1)).all():
        raise InputError(
            "A mask holds true and false, or 0 and 1. "
            f"Received: values from {np.nanmin(values):.3g} to {np.nanmax(values):.3g}. "
            "Make it with mass_mask, and lay it on with interpolation='nearest'."
        )
