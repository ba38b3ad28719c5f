"""What a reference network computes, and what kinds of references there are."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from kerasvit.models.base import ScoreModel

# Images of more patches than this are replaced by small ones, whose positions are resampled.
_MAX_PATCHES = 600
_SMALL = (5, 7)
# Scores of a live module at its own size may need more memory than the module.
MAX_SCORE_BYTES = 2**30


class NoReference(Exception):
    """There is no network to compare with; the message says why, and what would help."""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a network computes for a batch of images, in our terms.

    Args:
        logits: `(B, K)`; of a backbone the pooled feature `(B, D)`.
        features: the tokens after the last norm `(B, N, D)`; None where the network keeps them.
        scores: by our keys; those that the network gives.
    """

    logits: np.ndarray
    features: np.ndarray | None = None
    scores: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class Reference(Protocol):
    """A network with the source's weights that was not made here."""

    @property
    def label(self) -> str:
        """What reports call it, after "Compared with"."""

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` of the images that it takes."""

    def run(self, images: np.ndarray) -> Outputs:
        """Return what it computes for float images `(B, height, width, C)`, in their type."""


def comparison_size(model: ScoreModel) -> tuple[int, int]:
    """Return the size of images to compare on: the model's own, or a small one for large grids.

    The small one has another aspect ratio than the grid that the weights were trained with, which
    shows a swap of rows and columns.
    """
    rows, columns = model.token_layout().grid
    if rows * columns <= _MAX_PATCHES:
        patch = model.patch_size
        return rows * patch[0], columns * patch[1]
    return _SMALL[0] * model.patch_size[0], _SMALL[1] * model.patch_size[1]


def score_bytes(model: ScoreModel, image_size: tuple[int, int], batch_size: int) -> int:
    """Return the memory that all score maps of a batch of images need."""
    if model.attends_to_channels:
        tokens = model.hidden_dim // model.num_heads
    else:
        tokens = model.token_layout(image_size).num_tokens
    return 4 * batch_size * model.num_layers * model.num_heads * math.prod((tokens, tokens))
