"""How alike a patch is to every patch of one or several pictures."""

from collections.abc import Sequence

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.features.patches import Patch, PatchFeatures, check_pictures


def similarity(
    pictures: Sequence[PatchFeatures], patch: Patch, *, picture: int = 0
) -> list[np.ndarray]:
    """Return the cosine of a patch's feature with that of every patch.

    Args:
        pictures: of one model, at least one.
        patch: `(row, column)` of the patch that asks; `PatchFeatures.patch_at` finds that of a
            pixel.
        picture: number of the picture that it lies in.

    Returns:
        By picture `(rows, columns)` in [-1, 1], float32; 1 at the patch itself.

    Raises:
        InputError: if the pictures' features differ in width.
        UsageError: if there is no such picture or patch.

    Source: the figures of Simeoni et al. 2025, DINOv3 (https://arxiv.org/abs/2508.10104).
    """
    check_pictures(pictures)
    if not 0 <= picture < len(pictures):
        raise UsageError(
            f"There are the pictures 0 to {len(pictures) - 1}. Received: picture={picture!r}."
        )
    asking = pictures[picture]
    asking.check_patch(patch)
    directions = [own.directions for own in pictures]
    query = directions[picture].reshape(*asking.grid, -1)[patch]
    return [
        np.clip(own @ query, -1, 1).reshape(other.grid).astype(np.float32)
        for own, other in zip(directions, pictures, strict=True)
    ]
