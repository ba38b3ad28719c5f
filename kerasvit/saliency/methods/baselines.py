"""What stands in for a part of the picture that is taken away."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kerasvit.errors import InputError, UsageError

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

BASELINES = ("mean", "black", "blur")

Baseline = str | float | np.ndarray

# Standard deviation of the blur as a share of the shorter side: 224 pixels give RISE's 10.
_BLUR = 10 / 224


def make_baseline(
    model: "ScoreModel", pixels: np.ndarray, baseline: Baseline = "mean"
) -> np.ndarray:
    """Return pictures without content, in the model's own input values.

    Args:
        model: a kerasvit model; `"black"` needs its record's preprocessing.
        pixels: `(B, h, w, 3)`, preprocessed.
        baseline: `"mean"`, zeros, the mean colour of the training pictures; `"black"`; `"blur"`,
            each picture blurred until only its colours are left; a number; or an array that
            broadcasts to the pixels.

    Returns:
        float32, shaped as `pixels`.

    Raises:
        InputError: if an array does not fit or is not finite.
        UsageError: if there is no such baseline, or the model does not say what black is.
    """
    if isinstance(baseline, str):
        if baseline == "mean":
            return np.zeros_like(pixels, np.float32)
        if baseline == "black":
            return np.broadcast_to(_black(model), pixels.shape).astype(np.float32)
        if baseline == "blur":
            return blur(pixels, _BLUR * min(pixels.shape[1:3]))
        raise UsageError(
            f"There is no such baseline. Received: baseline={baseline!r}. "
            f"Choose one of {', '.join(map(repr, BASELINES))}, a number, or an array."
        )
    values = np.asarray(baseline, np.float32)
    fits = _broadcasts(values, pixels.shape)
    if not fits or not np.isfinite(values).all():
        raise InputError(
            f"A baseline is finite and fits the pixels of shape {pixels.shape}. "
            f"Received: an array of shape {np.shape(baseline)}. Pass one picture or one number."
        )
    return np.broadcast_to(values, pixels.shape)


def _broadcasts(values: np.ndarray, shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(values.shape, shape) == shape
    except ValueError:
        return False


def _black(model: "ScoreModel") -> np.ndarray:
    preprocessing = model.record.get("preprocessing")
    if not isinstance(preprocessing, Mapping):
        raise UsageError(
            "What black is depends on the mean and std that the pixels were normalised by. "
            "Received: a model whose record has no preprocessing. Choose baseline='mean' or 'blur'."
        )
    return -np.asarray(preprocessing["mean"], np.float32) / np.asarray(preprocessing["std"])


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Blur pictures with a Gaussian; at the border the edge is repeated.

    Args:
        pixels: `(B, h, w, C)`.
        sigma: standard deviation in pixels, above 0.

    Returns:
        float32, the same shape.
    """
    reach = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (1, 2):
        padding = [(0, 0)] * 4
        padding[axis] = (reach, reach)
        padded = np.pad(np.asarray(pixels, np.float32), padding, mode="edge")
        length = pixels.shape[axis]
        pixels = sum(
            weight * padded.take(range(start, start + length), axis=axis)
            for start, weight in enumerate(kernel)
        )
    return pixels
