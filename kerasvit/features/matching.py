"""Which patches of two pictures are each other's nearest neighbours."""

import dataclasses

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.features.patches import PatchFeatures, check_pictures

# So many patches of the first picture are compared with the second at once.
_ROWS = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of patches, the most alike first.

    Args:
        first: `(M, 2)`, row and column in the first picture.
        second: `(M, 2)`, those of their partners in the second.
        similarity: `(M,)`, the cosine of their features.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.similarity)


def match(
    first: PatchFeatures,
    second: PatchFeatures,
    *,
    top: int | None = None,
    masks: tuple[np.ndarray, np.ndarray] | None = None,
) -> Matches:
    """Return the patches that are nearest to each other, both ways.

    A patch of the first picture and one of the second are a pair if neither has a patch of the
    other picture that is more alike to it, by the cosine of their features. Of equally near ones
    the first, row by row, counts.

    Args:
        first: a picture's features.
        second: those of another, or of the same, by the same model.
        top: how many pairs are kept, the most alike; None for all.
        masks: bool `(rows, columns)` of each picture: only patches in it are compared, for instance
            those of the foreground (`kerasvit.features.pca(...).masks`). Where one has none, there
            are no pairs.

    Raises:
        InputError: if the features differ in width, or a mask is of another shape.
        UsageError: if `top` is below 1.

    Source: "best buddies" of Dekel et al., CVPR 2015, equation 1 (https://arxiv.org/abs/1604.01735);
    with features of a ViT, Amir et al. 2021, section 4 (https://arxiv.org/abs/2112.05814).
    """
    check_pictures([first, second])
    if top is not None and top < 1:
        raise UsageError(f"At least one pair is kept. Received: top={top!r}.")
    kept = [
        _chosen(picture, None if masks is None else masks[number])
        for number, picture in enumerate((first, second))
    ]
    left, right = first.directions[kept[0]], second.directions[kept[1]]
    forward, likeness, backward = _nearest(left, right)
    numbers = np.arange(len(left) if len(right) else 0)
    mutual = backward[forward[numbers]] == numbers
    order = np.argsort(-likeness[numbers][mutual], kind="stable")[:top]
    rows = numbers[mutual][order]
    return Matches(
        _places(first, kept[0][rows]),
        _places(second, kept[1][forward[rows]]),
        np.clip(likeness[rows], -1, 1),
    )


def _nearest(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each row's nearest on the right, how near it is, and each right one's on the left."""
    forward = np.zeros(len(left), np.int64)
    likeness = np.zeros(len(left), np.float32)
    backward = np.zeros(len(right), np.int64)
    best = np.full(len(right), -np.inf, np.float32)
    for start in range(0, len(left) if len(right) else 0, _ROWS):
        block = left[start : start + _ROWS] @ right.T
        forward[start : start + _ROWS] = block.argmax(axis=1)
        likeness[start : start + _ROWS] = block.max(axis=1)
        highest = block.max(axis=0)
        better = highest > best
        backward[better] = start + block.argmax(axis=0)[better]
        best[better] = highest[better]
    return forward, likeness, backward


def _chosen(picture: PatchFeatures, mask: np.ndarray | None) -> np.ndarray:
    """Return the numbers of the patches in a mask."""
    if mask is None:
        return np.arange(len(picture.rows))
    mask = np.asarray(mask)
    if mask.shape != picture.grid or mask.dtype != bool:
        raise InputError(
            f"A mask is bool {picture.grid} for {picture.name!r}. "
            f"Received: {mask.dtype} {mask.shape}. Use that of the picture's own patches."
        )
    return np.flatnonzero(mask)


def _places(picture: PatchFeatures, numbers: np.ndarray) -> np.ndarray:
    return np.stack(np.divmod(numbers, picture.grid[1]), axis=1)
