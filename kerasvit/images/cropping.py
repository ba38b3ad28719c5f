"""The sizes and windows of timm's evaluation transform, rounded as timm and torchvision round.

Source: timm 1.0, timm/data/transforms_factory.py `transforms_imagenet_eval` and
timm/data/transforms.py; torchvision 0.28, torchvision/transforms/functional.py.
"""

import math
from collections.abc import Sequence

import numpy as np

CROP_MODES = ("center", "border", "squash")


def resized_size(
    size: tuple[int, int], image_size: tuple[int, int], crop_fraction: float, crop_mode: str
) -> tuple[int, int]:
    """Return the size that a picture is brought to before the crop.

    Args:
        size: `(H, W)` of the picture in pixels.
        image_size: `(h, w)` of the crop in pixels.
        crop_fraction: float in (0, 1], the crop's share of the resized sides.
        crop_mode: one of `CROP_MODES`; see `Preprocessing`.

    Returns:
        `(height, width)` in pixels; a side of an extreme picture may become 0 with "border".
    """
    scaled = tuple(math.floor(side / crop_fraction) for side in image_size)
    if crop_mode == "squash":
        return scaled
    if crop_mode == "center" and scaled[0] == scaled[1]:
        # torchvision's Resize: the shorter side exact, the longer one cut to an integer.
        short = min(size)
        return tuple(scaled[0] if side == short else int(scaled[0] * side / short) for side in size)
    # timm's ResizeKeepRatio: one ratio for both sides, each rounded.
    ratios = [side / target for side, target in zip(size, scaled, strict=True)]
    ratio = max(ratios) if crop_mode == "border" else min(ratios)
    return tuple(round(side / ratio) for side in size)


def aspect_size(
    size: tuple[int, int], short_side: int, patch_size: tuple[int, int]
) -> tuple[int, int]:
    """Return the size that a whole picture is brought to, its aspect ratio kept.

    Args:
        size: `(H, W)` of the picture in pixels.
        short_side: length in pixels that the shorter side is brought near to.
        patch_size: `(height, width)` in pixels; each side becomes its nearest positive multiple.
    """
    scale = short_side / min(size)
    return tuple(
        max(1, math.floor(side * scale / patch + 0.5)) * patch
        for side, patch in zip(size, patch_size, strict=True)
    )


def centred_offset(size: tuple[int, int], image_size: tuple[int, int]) -> tuple[int, int]:
    """Return `(top, left)` of a centred window in pixels; negative on a side that it pads."""
    # Halves go to the even neighbour when cropping, down when padding: torchvision's center_crop.
    return tuple(
        -((want - have) // 2) if want > have else round((have - want) / 2)
        for have, want in zip(size, image_size, strict=True)
    )


def cut_window(
    image: np.ndarray, box: tuple[int, int, int, int], fill: Sequence[int]
) -> np.ndarray:
    """Cut a window out of a picture; where it reaches outside, it shows the colour `fill`.

    Args:
        image: uint8 array `(H, W, 3)`.
        box: `(top, left, bottom, right)` in pixels, overlapping the picture.
        fill: three ints in [0, 255].

    Returns:
        uint8 array `(bottom - top, right - left, 3)`, a copy.
    """
    top, left, bottom, right = box
    window = np.full((bottom - top, right - left, 3), fill, np.uint8)
    inside = image[max(top, 0) : bottom, max(left, 0) : right]
    row, column = max(-top, 0), max(-left, 0)
    window[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return window
