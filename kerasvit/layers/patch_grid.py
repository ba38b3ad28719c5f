"""Which grid of patches an image is cut into."""

from kerasvit.layers.base import require


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
