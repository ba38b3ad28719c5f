"""Infidelity: does a map foretell by how much the output changes?"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasvit.saliency.methods.baselines import Baseline, make_baseline
from kerasvit.saliency.request import model_outputs
from kerasvit.saliency.targets import Objective

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


class Hidden(NamedTuple):
    """Random sets of patches, and what hiding each of them changes.

    Args:
        sets: bool `(samples, rows, columns)`, True where a patch is hidden.
        changes: `(B, samples)`, by how much each picture's objective falls.
    """

    sets: np.ndarray
    changes: np.ndarray


def hide_patches(
    model: "ScoreModel",
    pixels: np.ndarray,
    grid: tuple[int, int],
    objective: Objective,
    baseline: Baseline = "mean",
    samples: int = 50,
    hidden: float = 0.3,
    seed: int = 0,
    batch_size: int = 8,
) -> Hidden:
    """Hide random sets of patches, and return by how much the objective falls.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        grid: `(rows, columns)` of the patches.
        objective: the class of each picture; the change is that of its logit.
        baseline: what patches are replaced by, see `make_baseline`.
        samples: number of sets.
        hidden: share of the patches in a set.
        seed: of the sets, which are the same for all pictures.
        batch_size: how many pictures run at once.
    """
    sets = np.random.default_rng(seed).random((samples, *grid)) < hidden
    ground = make_baseline(model, pixels, baseline)
    before = objective.of(model_outputs(model, pixels, batch_size))
    changes = np.empty((len(pixels), samples))
    for index, picture in enumerate(pixels):
        outputs = _hidden_outputs(model, picture, ground[index], sets, batch_size)
        own = objective.select(slice(index, index + 1))
        changes[index] = before[index] - own.of(outputs)
    return Hidden(sets, changes)


def infidelity(maps: np.ndarray, hidden: Hidden) -> np.ndarray:
    """Return how badly the values of hidden patches foretell the change of the objective.

    For random sets of patches, hidden at once, `E[(beta * sum of their values - change)^2]`, over
    the mean square of the change. A map has no unit of its own, so `beta` is the factor that fits
    each picture best, not below 0: 0 is a perfect map, 1 one that says nothing.

    Args:
        maps: `(B, rows, columns)`.
        hidden: of the same pictures and patches; the same for every method.

    Returns:
        `(B,)` in [0, 1].

    Source: Yeh et al., NeurIPS 2019, definition 2.1 and the optimal scaling of its appendix
    (https://arxiv.org/abs/1901.09392).
    """
    foretold = np.einsum("src,brc->bs", hidden.sets.astype(np.float64), maps.astype(np.float64))
    return np.array([_unexplained(*pair) for pair in zip(foretold, hidden.changes, strict=True)])


def _hidden_outputs(
    model: "ScoreModel", picture: np.ndarray, ground: np.ndarray, sets: np.ndarray, batch_size: int
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
