"""Faithfulness by taking pixels away, or putting them back, in the order of a map."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasvit.errors import InputError
from kerasvit.images.resampling import resize_array
from kerasvit.saliency.methods.baselines import Baseline, make_baseline
from kerasvit.saliency.request import model_outputs
from kerasvit.saliency.targets import Objective

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

# Chefer, Gur and Wolf, CVPR 2021: 10 % to 90 % of the pixels in steps of 10 %.
PERTURBATION = tuple(np.linspace(0.1, 0.9, 9).round(2).tolist())
# Petsiuk et al. 2018 go pixel by pixel; this many steps give the area to about 1 %.
STEPS = tuple(np.linspace(0, 1, 29).round(4).tolist())


@dataclasses.dataclass(frozen=True)
class Curve:
    """What a model says while pixels are replaced in an order.

    Args:
        fractions: `(S,)`, the share of the pixels replaced, rising.
        values: `(B, S)`, for each picture.
    """

    fractions: np.ndarray
    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean over the pictures, `(S,)`."""
        return self.values.mean(axis=0)

    @property
    def areas(self) -> np.ndarray:
        """The area under each picture's curve over its width, `(B,)`: the mean height."""
        steps = np.diff(self.fractions)
        middles = (self.values[:, 1:] + self.values[:, :-1]) / 2
        return (middles * steps).sum(axis=1) / steps.sum()


def pixel_ranks(maps: np.ndarray, size: tuple[int, int], descending: bool = True) -> np.ndarray:
    """Return at which place each pixel comes when a map's pixels are sorted.

    Args:
        maps: `(B, rows, columns)`, finite.
        size: `(height, width)` in pixels; the maps are enlarged bilinearly.
        descending: whether the highest value comes first. Equal values keep the order of reading,
            also when it is False.

    Returns:
        `(B, height, width)`, int, 0 for the first.

    Raises:
        InputError: if a map is not finite.
    """
    if not np.isfinite(maps).all():
        raise InputError(
            "A map must be finite to put pixels in order. Received: NaN or infinity. "
            "Check the method's options and the model's weights."
        )
    fine = resize_array(maps, size, "bilinear").reshape(len(maps), -1)
    order = np.argsort(-fine if descending else fine, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    return ranks.reshape(len(maps), *size)


def replaced_outputs(
    model: "ScoreModel",
    start: np.ndarray,
    end: np.ndarray,
    ranks: np.ndarray,
    fractions: Sequence[float],
    batch_size: int = 8,
) -> np.ndarray:
    """Run a model while the first pixels by rank are replaced.

    Args:
        model: a kerasvit model.
        start: `(B, h, w, 3)`, the pictures at fraction 0.
        end: the same shape, the pictures at fraction 1.
        ranks: `(B, h, w)`, see `pixel_ranks`.
        fractions: shares of the pixels that are replaced.
        batch_size: how many pictures run at once.

    Returns:
        `(S, B, K)`, the model's first output at each fraction.
    """
    pixels = ranks.shape[1] * ranks.shape[2]
    outputs = []
    for fraction in fractions:
        replaced = (ranks < round(fraction * pixels))[..., None]
        outputs.append(model_outputs(model, np.where(replaced, end, start), batch_size))
    return np.stack(outputs)


def agreement(objective: Objective, outputs: np.ndarray) -> np.ndarray:
    """Return what is left of the objective: 1 where the class still comes first, else 0.

    One of many labels still holds from a probability of 0.5 on.

    Args:
        objective: of the pictures.
        outputs: `(..., B, K)`.

    Returns:
        `(..., B)`. For a feature its cosine with what it was; of a regression its value.
    """
    if objective.classes is not None:
        return objective.holds(outputs)
    return objective.of(outputs) / np.maximum(np.linalg.norm(outputs, axis=-1), 1e-12)


def confidence(objective: Objective, outputs: np.ndarray) -> np.ndarray:
    """Return the probability of the class, or a feature's cosine; shapes as in `agreement`."""
    if objective.classes is None:
        return agreement(objective, outputs)
    return objective.probability(outputs)


def perturbation_curves(
    model: "ScoreModel",
    pixels: np.ndarray,
    maps: np.ndarray,
    objective: Objective,
    baseline: Baseline = "black",
    fractions: Sequence[float] = PERTURBATION,
    batch_size: int = 8,
) -> dict[str, Curve]:
    """Return accuracy and confidence while the most, or the least, relevant pixels are taken away.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        maps: `(B, rows, columns)`.
        objective: the class of each picture whose survival is watched.
        baseline: what pixels are replaced by, see `make_baseline`; the paper takes black.
        fractions: shares of the pixels taken away.
        batch_size: how many pictures run at once.

    Returns:
        Curves `"positive"` and `"negative"`, of accuracy, and `"positive_confidence"` and
        `"negative_confidence"`. A good map has a low area when the most relevant pixels go first
        (positive), and a high one when they go last (negative).

    Source: Chefer, Gur and Wolf, CVPR 2021, section 4 (https://arxiv.org/abs/2012.09838).
    """
    end = make_baseline(model, pixels, baseline)
    shares = np.asarray(fractions, np.float64)
    curves = {}
    for name, descending in (("positive", True), ("negative", False)):
        ranks = pixel_ranks(maps, pixels.shape[1:3], descending)
        outputs = replaced_outputs(model, pixels, end, ranks, fractions, batch_size)
        curves[name] = Curve(shares, agreement(objective, outputs).T)
        curves[f"{name}_confidence"] = Curve(shares, confidence(objective, outputs).T)
    return curves


def insertion_deletion(
    model: "ScoreModel",
    pixels: np.ndarray,
    maps: np.ndarray,
    objective: Objective,
    fractions: Sequence[float] = STEPS,
    batch_size: int = 8,
) -> dict[str, Curve]:
    """Return confidence while pixels are put into a blurred picture, and taken out of a whole one.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        maps: `(B, rows, columns)`.
        objective: the class of each picture.
        fractions: from 0 to 1.
        batch_size: how many pictures run at once.

    Returns:
        Curves `"insertion"` (blurred picture to the picture; a high area is good) and `"deletion"`
        (the picture to its mean colour; a low area is good), most relevant pixels first.

    Source: Petsiuk, Das and Saenko, BMVC 2018, section 4.3 (https://arxiv.org/abs/1806.07421).
    """
    ranks = pixel_ranks(maps, pixels.shape[1:3])
    blurred = make_baseline(model, pixels, "blur")
    grey = make_baseline(model, pixels, "mean")
    shares = np.asarray(fractions, np.float64)
    curves = {}
    for name, start, end in (("insertion", blurred, pixels), ("deletion", pixels, grey)):
        outputs = replaced_outputs(model, start, end, ranks, fractions, batch_size)
        curves[name] = Curve(shares, confidence(objective, outputs).T)
    return curves
