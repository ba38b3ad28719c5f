"""A source's positions on another grid, by the rule that the model takes for its own.

A reference at another size than the pretrained one gets its positions from here: whether a rule of
resampling is the source's is a matter of the rule's own tests, and not of a conversion's proof.
"""

import numpy as np

from kerasvit.layers.position_resampling import resample_grid
from kerasvit.models.base import ScoreModel


def resampled(positions: np.ndarray, model: ScoreModel, image_size: tuple[int, int]) -> np.ndarray:
    """Return positions `(1, N, D)` for images of another size.

    Args:
        positions: as the source stores them: those of prefix tokens, if any, come first.
        model: whose patches, pretrained grid and rule count.
        image_size: `(height, width)` wanted.
    """
    old = model.token_layout().grid
    new = model.token_layout(image_size).grid
    if old == new:
        return positions
    num_prefix = positions.shape[1] - old[0] * old[1]
    grid = positions[0, num_prefix:].reshape(*old, -1)
    patches = resample_grid(grid, new, model.position_resampling).reshape(1, -1, grid.shape[-1])
    return np.concatenate([positions[:, :num_prefix], patches], axis=1)
