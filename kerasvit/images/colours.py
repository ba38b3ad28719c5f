"""Any decoded picture, as 8-bit RGB.

Colour profiles (ICC) are ignored, as they are by the pipelines that the pretrained models were
trained with; applying them here would move the pixels away from what those models saw.
"""

import numpy as np
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.images.notes import note

# TIFF 6.0, pages 29, 37 and 80: the tags that say what a stored number means.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2
# A model sees no difference between two shades that are closer than this to white.
_ALMOST_WHITE = 240


def image_to_rgb(
    image: Image.Image, name: str = "the picture", ground: str | None = None
) -> np.ndarray:
    """Convert a PIL image of any mode.

    Transparency is composited on white, or on black where what is drawn could not be told from
    white. Numbers of more than 8 bits are scaled from the range of their type, or from their own
    where they use less than a quarter of it or leave it; a note says so.

    Args:
        image: a loaded PIL image.
        name: what notes and errors call it.
        ground: `"white"` or `"black"`, what shows where a picture is transparent; None for the one
            on which something is seen.

    Returns:
        uint8 array `(H, W, 3)`.

    Raises:
        InputError: if a number is NaN or infinite.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_to_rgb(image, name)
    if image.mode == "L" and _is_signed(image):
        # Pillow keeps signed bytes in an unsigned type: the bits are right, not the sign.
        return _grey(_by_range(np.asarray(image).view(np.int8), 127, name, may_leave=True))
    if not image.has_transparency_data:
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    if image.mode == "La":  # Pillow takes premultiplied grey to RGBA only by way of LA.
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    if ground is None and is_lost_on_white(rgba):
        ground = "black"
        note(name, "what is drawn is white on transparency: it is shown on black")
    return _on(ground or "white", rgba)


def is_lost_on_white(image: Image.Image) -> bool:
    """Return whether a picture has something drawn, of which nothing would be seen on white.

    Args:
        image: of the mode RGBA.
    """
    alpha = np.asarray(image.getchannel("A"))
    if not alpha.any() or alpha.all():  # nothing is drawn, or nothing is transparent
        return False
    return bool(_on("white", image).min() >= _ALMOST_WHITE)


def array_to_rgb(array: np.ndarray, name: str = "the array") -> np.ndarray:
    """Convert an array that holds a picture.

    Args:
        array: `(H, W)` or `(H, W, C)` with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. Bool,
            unsigned integers of 8, 16 or 32 bits and signed ones (then not negative) of 8, 16 or
            32 bits are scaled from 0 ... the largest value of the type, or from their own range
            where they use less than a quarter of that; floats from [0, 1].
        name: what notes call it.

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
        eight_bit = _scaled(array, 1.0, name)
    elif array.dtype.kind == "b":
        eight_bit = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind in "ui" and array.dtype.itemsize <= 4:
        eight_bit = _by_range(array, np.iinfo(array.dtype).max, name)
    else:
        # 64-bit integers are what plain Python numbers become: their range says nothing.
        raise InputError(
            "A picture array has bool, integer (up to 32 bits) or float values. "
            f"Received: dtype={array.dtype}. Convert values of 0 to 255 with .astype('uint8')."
        )
    if channels == 1:
        return _grey(eight_bit.reshape(array.shape[:2]))
    return image_to_rgb(Image.fromarray(eight_bit), name)


def _deep_to_rgb(image: Image.Image, name: str) -> np.ndarray:
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
    eight_bit = _by_range(values, top, name, may_leave=True)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow inverts only up to 8 bits.
        eight_bit = 255 - eight_bit
    if image.mode != "F" and isinstance(image.info.get("transparency"), int):
        eight_bit = np.where(values == image.info["transparency"], np.uint8(255), eight_bit)
    return _grey(eight_bit)


def _is_signed(image: Image.Image) -> bool:
    return getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _SIGNED


def _by_range(values: np.ndarray, top: float, name: str, may_leave: bool = False) -> np.ndarray:
    """Scale numbers to [0, 255] from the range of their type or, where it says little, their own.

    A camera's 12 bits in a file of 16, or bytes in one of 32, would be nearly black.

    Args:
        values: numbers.
        top: the end of their type's range.
        name: of the picture.
        may_leave: whether numbers may lie outside [0, top].
    """
    if values.dtype == np.uint8:
        return values
    lowest, highest = float(values.min()), float(values.max())
    leaves = lowest < 0 or highest > top
    is_finite = np.isfinite(lowest) and np.isfinite(highest)
    uses_it = highest >= top / 4 or values.dtype.kind == "f"
    if not is_finite or (leaves and not may_leave) or (uses_it and not leaves) or not highest:
        return _scaled(values, top, name)
    if values.dtype.kind in "iu" and lowest >= 0 and highest <= 255:
        note(name, f"its numbers of {8 * values.dtype.itemsize} bits are bytes, and taken as such")
        return values.astype(np.uint8)
    if lowest == highest:
        return np.full(values.shape, 0 if lowest < 0 else 128, np.uint8)
    note(
        name,
        f"its numbers lie from {lowest:g} to {highest:g} and are scaled from there, not from the "
        f"range of their type, 0 to {top:g}",
    )
    return _scaled(values.astype(np.float64) - lowest, highest - lowest, name)


def _scaled(values: np.ndarray, top: float, name: str) -> np.ndarray:
    """Scale [0, top] to [0, 255] and round."""
    if values.dtype == np.uint8:
        return values
    lowest, highest = values.min(), values.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        odd = np.count_nonzero(~np.isfinite(values))
        raise InputError(
            f"The pixel values of {name} must be finite numbers. Received: {values.dtype} with "
            f"{odd} of {values.size} NaN or infinite. Fill these in first."
        )
    if not (lowest >= 0 and highest <= top):
        raise InputError(
            f"The pixel values of {name} lie in [0, {top:g}] by their type. Received: "
            f"{values.dtype} values from {lowest:g} to {highest:g}. Scale them to that range first."
        )
    # float32 holds 16-bit numbers exactly, and halves the memory.
    wide = np.dtype("float32" if top < 2**16 and values.dtype.itemsize < 8 else "float64")
    return np.rint(values.astype(wide) * wide.type(255.0 / top)).astype(np.uint8)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def _on(ground: str, image: Image.Image) -> np.ndarray:
    below = Image.new("RGBA", image.size, ground)
    return np.array(Image.alpha_composite(below, image).convert("RGB"))
