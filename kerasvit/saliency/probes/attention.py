"""Measures of attention: how far the heads look, and how widely."""

import numpy as np

from kerasvit.errors import InputError
from kerasvit.layout import TokenLayout

# Rows of a softmax in bfloat16 sum to 1 within about 0.01.
_ROW_SUM_TOLERANCE = 2e-2


def patch_distances(layout: TokenLayout) -> np.ndarray:
    """Return the distance between the centres of each two patches, `(P, P)`, in input pixels."""
    rows, columns = np.divmod(np.arange(layout.num_patches), layout.grid[1])
    centres = np.stack([rows, columns], axis=1) * np.array(layout.patch_size, np.float64)
    return np.linalg.norm(centres[:, None] - centres[None], axis=-1)


def attention_distance(scores: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Return how far each head looks: the mean distance of what a patch attends to.

    Attention to prefix tokens, which have no place, is left out, and the rest scaled to sum 1.

    Args:
        scores: `(B, H, N, N)` of self-attention, probabilities.
        layout: of the stage.

    Returns:
        `(B, H)`, in pixels of the model's input, the mean over the patches.

    Raises:
        InputError: if the scores do not fit the layout, or are no probabilities.

    Source: Dosovitskiy et al. 2021, figure 7 right (https://arxiv.org/abs/2010.11929).
    """
    check_probabilities(scores, layout)
    prefix = layout.num_prefix
    rows = scores[:, :, prefix:, prefix:].astype(np.float64)
    mass = np.maximum(rows.sum(axis=-1), 1e-12)
    # Without a second array as large as the scores.
    lengths = np.einsum("bhqk,qk->bhq", rows, patch_distances(layout))
    return (lengths / mass).mean(axis=-1)


def attention_entropy(scores: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Return how widely each head looks: the mean entropy of its rows.

    Args:
        scores: `(B, H, Q, N)`, probabilities; class attention too.
        layout: of the stage.

    Returns:
        `(B, H)`, in bits: 0 for one token, `log2(N)` for all alike.

    Raises:
        InputError: if the scores do not fit the layout, or are no probabilities.
    """
    check_probabilities(scores, layout, whole=False)
    rows = scores.astype(np.float64)
    logs = np.log2(np.maximum(rows, np.finfo(np.float64).tiny))
    # Not -0 for a row with all its mass in one place.
    return np.abs((rows * logs).sum(axis=-1)).mean(axis=-1)


def check_probabilities(scores: np.ndarray, layout: TokenLayout, whole: bool = True) -> None:
    """Raise `InputError` unless scores fit a layout and are probabilities; `whole`: of all rows."""
    if scores.ndim != 4 or (whole and scores.shape[2] != scores.shape[3]):
        raise InputError(
            "This measure needs every row of a block's scores, (B, H, N, N). "
            f"Received: shape {scores.shape}. Use a model with attention='full'."
        )
    layout.check(scores.shape[3])
    sums = scores.sum(axis=-1)
    if not (scores.min() >= 0 and np.abs(sums - 1).max() <= _ROW_SUM_TOLERANCE):
        raise InputError(
            "This measure needs probabilities, rows that sum to 1 without negative values. "
            f"Received: values from {scores.min():.3g} and sums from {sums.min():.3g} to "
            f"{sums.max():.3g}. For CaiT use scores_before_mixing=True."
        )
