"""Infidelity: does a map foretell by how much the output changes?"""

from typing import Any

import numpy as np

from kerasvit.saliency.baselines import Baseline, make_baseline
from kerasvit.saliency.request import model_outputs
from kerasvit.saliency.targets import Objective


def infidelity(
    model: Any,
    pixels: np.ndarray,
    maps: np.ndarray,
    objective: Objective,
    baseline: Baseline = "mean",
    samples: int = 50,
    hidden: float = 0.3,
    seed: int = 0,
    batch_size: int = 8,
) -> np.ndarray:
    """Return how badly the values of hidden patches foretell the change of the objective.

    For random sets of patches, hidden at once, `E[(beta * sum of their values - change)^2]`, over
    the mean square of the change. A map has no unit of its own, so `beta` is the factor that fits
    each picture best, not below 0: 0 is a perfect map, 1 one that says nothing.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        maps: `(B, rows, columns)`.
        objective: the class of each picture; the change is that of its logit.
        baseline: what patches are replaced by, see `make_baseline`.
        samples: number of sets.
        hidden: share of the patches in a set.
        seed: of the sets, which are the same for all pictures.
        batch_size: how many pictures run at once.

    Returns:
        `(B,)` in [0, 1].

    Source: Yeh et al., NeurIPS 2019, definition 2.1 and the optimal scaling of its appendix
    (https://arxiv.org/abs/1901.09392).
    """
    rows, columns = maps.shape[1:]
    sets = np.random.default_rng(seed).random((samples, rows, columns)) < hidden
    ground = make_baseline(model, pixels, baseline)
    before = objective.of(model_outputs(model, pixels, batch_size))
    errors = np.empty(len(pixels))
    for index, values in enumerate(maps.astype(np.float64)):
        outputs = _hidden_outputs(model, pixels[index], ground[index], sets, batch_size)
        own = objective.select(slice(index, index + 1))
        change = (before[index] - own.of(outputs)).astype(np.float64)
        foretold = (sets * values).sum(axis=(1, 2))
        errors[index] = _unexplained(foretold, change)
    return errors


def _hidden_outputs(
    model: Any, picture: np.ndarray, ground: np.ndarray, sets: np.ndarray, batch_size: int
) -> np.ndarray:
    height, width = (
        side // cells for side, cells in zip(picture.shape[:2], sets.shape[1:], strict=True)
    )
    outputs = []
    for start in range(0, len(sets), batch_size):
        fine = sets[start : start + batch_size].repeat(height, axis=1).repeat(width, axis=2)
        outputs.append(model_outputs(model, np.where(fine[..., None], ground, picture), batch_size))
    return np.concatenate(outputs)


def _unexplained(foretold: np.ndarray, change: np.ndarray) -> float:
    power = (change**2).sum()
    if not power:
        return 0.0 if not foretold.any() else 1.0
    scale = max(foretold @ change, 0) / max((foretold**2).sum(), 1e-300)
    return float(((scale * foretold - change) ** 2).sum() / power)
