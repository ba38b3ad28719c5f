"""Any decoded picture, as 8-bit RGB.

Colour profiles (ICC) are ignored, as they are by the pipelines that the pretrained models were
trained with; applying them here would move the pixels away from what those models saw.
"""

import numpy as np
from PIL import Image

from kerasvit.errors import InputError

# TIFF 6.0, pages 29, 37 and 80: the tags that say what a stored number means.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


def image_to_rgb(image: Image.Image) -> np.ndarray:
    """Convert a PIL image of any mode.

    Transparency is composited on white. Numbers of more than 8 bits are scaled from their range.

    Args:
        image: a loaded PIL image.

    Returns:
        uint8 array `(H, W, 3)`.

    Raises:
        InputError: for negative numbers, or floats outside [0, 1].
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_to_rgb(image)
    if not image.has_transparency_data:
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    if image.mode == "La":  # Pillow takes premultiplied grey to RGBA only by way of LA.
        image = image.convert("LA")
    return _on_white(image.convert("RGBA"))


def array_to_rgb(array: np.ndarray) -> np.ndarray:
    """Convert an array that holds a picture.

    Args:
        array: `(H, W)` or `(H, W, C)` with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. Bool,
            unsigned integers of 8, 16 or 32 bits and signed ones (then not negative) of 8, 16 or
            32 bits are scaled from 0 ... the largest value of the type; floats from [0, 1].

    Returns:
        uint8 array `(H, W, 3)`, a copy.

    Raises:
        InputError: for another shape or type, negative numbers, or floats outside [0, 1].
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or not 1 <= channels <= 4 or array.size == 0:
        raise InputError(
            "A picture array has the shape (H, W) or (H, W, channels) with 1 to 4 channels, and at "
            f"least one pixel. Received: shape={array.shape}. Pass one picture, channels last."
        )
    if array.dtype.kind == "f":
        eight_bit = _scaled(array, 1.0)
    elif array.dtype.kind == "b":
        eight_bit = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind in "ui" and array.dtype.itemsize <= 4:
        eight_bit = _scaled(array, np.iinfo(array.dtype).max)
    else:
        # 64-bit integers are what plain Python numbers become: their range says nothing.
        raise InputError(
            "A picture array has bool, integer (up to 32 bits) or float values. "
            f"Received: dtype={array.dtype}. Convert values of 0 to 255 with .astype('uint8')."
        )
    if channels == 1:
        return _grey(eight_bit.reshape(array.shape[:2]))
    return image_to_rgb(Image.fromarray(eight_bit))


def _deep_to_rgb(image: Image.Image) -> np.ndarray:
    """Convert one channel of more than 8 bits; a TIFF's tags say how many."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F":
        top = 1.0
    elif image.mode == "I":
        bits = tags.get(_BITS_PER_SAMPLE, (32,))[0]
        unsigned = tags.get(_SAMPLE_FORMAT, (None,))[0] == _UNSIGNED
        # Pillow keeps unsigned 32-bit numbers in a signed type: the bits are right, not the sign.
        values = values.view(np.uint32) if unsigned else values
        top = 2 ** (bits if unsigned else bits - 1) - 1
    else:
        top = 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
    eight_bit = _scaled(values, top)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow inverts only up to 8 bits.
        eight_bit = 255 - eight_bit
    if image.mode != "F" and isinstance(image.info.get("transparency"), int):
        eight_bit = np.where(values == image.info["transparency"], np.uint8(255), eight_bit)
    return _grey(eight_bit)


def _scaled(values: np.ndarray, top: float) -> np.ndarray:
    """Scale [0, top] to [0, 255] and round."""
    if values.dtype == np.uint8:
        return values
    lowest, highest = values.min(), values.max()
    if not (lowest >= 0 and highest <= top):  # Also true of NaN.
        raise InputError(
            f"The pixel values of this picture lie in [0, {top:g}] by their type. Received: "
            f"{values.dtype} values from {lowest:g} to {highest:g}. Scale them to that range first."
        )
    # float32 holds 16-bit numbers exactly, and halves the memory.
    wide = np.dtype("float32" if top < 2**16 and values.dtype.itemsize < 8 else "float64")
    return np.rint(values.astype(wide) * wide.type(255.0 / top)).astype(np.uint8)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def _on_white(image: Image.Image) -> np.ndarray:
    white = Image.new("RGBA", image.size, "white")
    return np.array(Image.alpha_composite(white, image).convert("RGB"))
