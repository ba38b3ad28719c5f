"""Which grid of patches an image is cut into."""

from typing import Any

from kerasvit.layers.base import require
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.traced_resampling import are_known


def patch_grid(
    height: int, width: int, patch_size: tuple[int, ...], ignore_remainder: bool = False
) -> tuple[int, int]:
    """Return `(rows, columns)` of the patches of an image.

    Args:
        height, width: of the image in pixels.
        patch_size: `(height, width)` of a patch in pixels.
        ignore_remainder: whether pixels that fill no patch are ignored instead of refused.

    Raises:
        UsageError: if the patches do not fit, or the size is unknown.
    """
    patch_height, patch_width = patch_size
    require(
        height is not None and width is not None,
        "Height and width of the images must be known when the model is traced. "
        f"Received: {height}x{width}. Give keras.Input or the data set its static size.",
    )
    fits = ignore_remainder or (height % patch_height == 0 and width % patch_width == 0)
    require(
        fits and height >= patch_height and width >= patch_width,
        f"Height and width of the images must be multiples of the patch size "
        f"{patch_size}. Received: {height}x{width}. Resize or crop them, for instance "
        "with kerasvit.images.Preprocessing.",
    )
    return height // patch_height, width // patch_width


def grid_of_images(
    images: Any, patch_size: tuple[int, ...], ignore_remainder: bool = False
) -> tuple[Any, Any]:
    """Return `(rows, columns)` of the patches of images `(B, height, width, C)`.

    They are whole scalars of the backend where a trace leaves the size open. The other arguments
    and what it raises are those of `patch_grid`.
    """
    height, width = lean_ops.shape(images)[1:3]
    if height is None or width is None or are_known(height, width):
        return patch_grid(height, width, patch_size, ignore_remainder)
    return height // patch_size[0], width // patch_size[1]
