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
    height, width = size
    scaled = math.floor(image_size[0] / crop_fraction), math.floor(image_size[1] / crop_fraction)
    if crop_mode == "squash":
        return scaled
    if crop_mode == "center" and scaled[0] == scaled[1]:
        # torchvision's Resize: the shorter side exact, the longer one cut to an integer.
        short, length = min(size), scaled[0]
        return (
            length if height == short else int(length * height / short),
            length if width == short else int(length * width / short),
        )
    # timm's ResizeKeepRatio: one ratio for both sides, each rounded.
    ratios = height / scaled[0], width / scaled[1]
    ratio = max(ratios) if crop_mode == "border" else min(ratios)
    return round(height / ratio), round(width / ratio)


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
    return _in_patches(size[0] * scale, patch_size[0]), _in_patches(size[1] * scale, patch_size[1])


def _in_patches(length: float, patch: int) -> int:
    """Return the multiple of a patch's side that is nearest to a length, at least one patch."""
    return max(1, math.floor(length / patch + 0.5)) * patch


def centred_offset(size: tuple[int, int], image_size: tuple[int, int]) -> tuple[int, int]:
    """Return `(top, left)` of a centred window in pixels; negative on a side that it pads."""
    return _centred(size[0], image_size[0]), _centred(size[1], image_size[1])


def _centred(length: int, window: int) -> int:
    # Halves go to the even neighbour when cropping, down when padding: torchvision's center_crop.
    return -((window - length) // 2) if window > length else round((length - window) / 2)


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
