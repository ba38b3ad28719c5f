"""The parameter-randomisation check: does a map depend on what the model has learnt?"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.saliency.backends import to_numpy

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

HEAD, EMBEDDING = "head", "embedding"


def randomisation(
    model: "ScoreModel",
    make_maps: Callable[[Any], np.ndarray],
    seed: int = 0,
    stages: int | None = None,
) -> dict[str, np.ndarray]:
    """Return how alike maps are after weights are shuffled, from the head down.

    Each stage shuffles the values of every tensor of one more part of the model: first the head and
    the last norm, then the blocks from the last to the first, then the embeddings. A map that stays
    as it is shows the picture, not the model. (Plain attention does not depend on the head by its
    nature.)

    Args:
        model: a kerasvit model; a copy of it is shuffled.
        make_maps: from a model to `(B, rows, columns)`, each time for the same classes.
        seed: of the shuffling.
        stages: how many stages; None for all.

    Returns:
        By stage, in order, the rank correlation of each picture's map with the original, `(B,)`.

    Source: Adebayo et al., NeurIPS 2018, section 3.1, cascading (https://arxiv.org/abs/1810.03292).
    """
    original = make_maps(model)
    copy = type(model).from_config(model.get_config())
    for own, other in zip(copy.weights, model.weights, strict=True):
        own.assign(to_numpy(other.value))
    found = {}
    for name in _shuffled_stages(copy, np.random.default_rng(seed)):
        found[name] = rank_correlation(original, make_maps(copy))
        if stages is not None and len(found) == stages:
            break
    return found


def _shuffled_stages(model: "ScoreModel", generator: np.random.Generator) -> Iterator[str]:
    """Shuffle one part after the other, and yield each part's name when it is done."""
    blocks = model.all_blocks()
    inside = {id(variable) for block in blocks for variable in block.weights}
    names = ("norm", *model.head_names)
    late = [layer for layer in model.layers if layer.name in names]
    last = {id(variable) for layer in late for variable in layer.weights}
    rest = [v for v in model.weights if id(v) not in inside | last]
    parts = [(HEAD, [variable for layer in late for variable in layer.weights])]
    parts += [(block.name, block.weights) for block in reversed(blocks)]
    parts += [(EMBEDDING, rest)]
    for name, variables in parts:
        for variable in variables:
            values = to_numpy(variable.value)
            variable.assign(generator.permutation(values.reshape(-1)).reshape(values.shape))
        yield name


_LATE = ("norm", "head", "distillation_head")


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each pair of maps.

    Args:
        first: `(B, rows, columns)`.
        second: the same shape.

    Returns:
        `(B,)` in [-1, 1]; equal values share their mean rank, and a flat map correlates with
        nothing: 0.
    """
    one, other = (_centred_ranks(maps.reshape(len(maps), -1)) for maps in (first, second))
    product = (one * other).sum(axis=1)
    norms = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.divide(product, norms, out=np.zeros(len(first)), where=norms > 0)


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(values.shape)
    for row, out in zip(values, ranks, strict=True):
        _, inverse, counts = np.unique(row, return_inverse=True, return_counts=True)
        # The mean of the ranks that equal values take up.
        out[:] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks - ranks.mean(axis=1, keepdims=True)
