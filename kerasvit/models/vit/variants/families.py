"""How a variant is written: a size, a patch size, an image size and what its family adds."""

from collections.abc import Sequence
from typing import Any

from kerasvit.models.vit.sizes import SIZES

Arguments = dict[str, Any]
Variants = dict[str, Arguments]
Rows = Sequence[tuple[str, int, tuple[int, ...]]]


def variant(size: str, patch: int, image: int, **arguments) -> Arguments:
    """Return the constructor's arguments of one variant, square images of 3 channels."""
    return {**SIZES[size], "patch_size": patch, "image_shape": (image, image, 3), **arguments}


def family(pattern: str, rows: Rows, prefix: str = "", **arguments) -> Variants:
    """Return the variants of `(size, patch, images)` rows, each named by the pattern."""
    return {
        pattern.format(size=size, patch=patch, image=image): variant(
            prefix + size, patch, image, **arguments
        )
        for size, patch, images in rows
        for image in images
    }


GAP: Arguments = {"pooling": "average", "use_class_token": False}
MAP: Arguments = {"pooling": "attention", "use_class_token": False}
NORM_FIRST: Arguments = {"norm_after_pooling": False}
CLIP_TOWER: Arguments = {"use_pre_norm": True, "layer_norm_epsilon": 1e-5}
QUICK: Arguments = {"activation": "quick_gelu"}
TANH: Arguments = {"activation": "gelu_tanh"}
SCALE: Arguments = {"layer_scale_init_value": 1e-5}
PATCHES: Arguments = {"position_embedding": "patches"}
