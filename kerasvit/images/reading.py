"""Safe decoding: whatever holds a picture, to upright 8-bit RGB."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import IO, cast

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, KerasViTError, UsageError
from kerasvit.images.arriving import name_of
from kerasvit.images.colours import array_to_rgb, image_to_rgb
from kerasvit.images.limits import check_frame, check_tiff, no_frame
from kerasvit.images.notes import note
from kerasvit.images.opening import FORMATS as FORMATS
from kerasvit.images.opening import no_warnings, open_header, sentence

# Pillow's own threshold for a warning: a quarter of a gibibyte of 3-byte pixels.
MAX_PIXELS = 89_478_485

# EXIF 2.32, tag 0x0112: how the stored picture is turned to stand upright.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Source = str | os.PathLike | bytes | bytearray | memoryview | IO[bytes] | Image.Image | np.ndarray


def read(source: Source, max_pixels: int = MAX_PIXELS, frame: int | None = None) -> np.ndarray:
    """Read a picture: upright, opaque, 8 bits, RGB.

    The EXIF orientation is applied. Transparency is composited on white, or on black where nothing
    would be seen on white. Numbers of more than 8 bits are scaled from the range of their type, or
    from their own where they use little of it. CMYK, YCbCr, LAB, palette and grey are converted.
    Colour profiles (ICC) are ignored. What was decided about a picture is logged as a note. A
    picture is whole or refused, unless the program has set Pillow's
    `ImageFile.LOAD_TRUNCATED_IMAGES`.

    Args:
        source: a path, the bytes of a file, a binary file object (read from its start), a PIL
            image, or an array as `array_to_rgb` takes it. Files may be JPEG, PNG, WebP, GIF, BMP,
            TIFF, JPEG 2000, AVIF, or with the package pillow-heif HEIC; other decoders are never
            reached.
        max_pixels: the largest width x height that is decoded; the header decides, before any
            pixel is. Pillow itself stops at twice its `Image.MAX_IMAGE_PIXELS`.
        frame: which picture of an animation or of a multi-page file, from 0. `None` takes the
            first and logs a note if there are more (of a PIL image: the current one).

    Returns:
        uint8 array `(H, W, 3)`, C-contiguous, writable.

    Raises:
        InputError: if the source is missing, no picture, damaged, cut off or too large, or has
            no such frame.
        UsageError: if an argument is of the wrong type or out of range.
    """
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise UsageError(
            f"max_pixels is an int of at least 1. Received: max_pixels={max_pixels!r}."
        )
    if frame is not None and (not isinstance(frame, int) or frame < 0):
        raise UsageError(f"frame is None or an int from 0. Received: frame={frame!r}.")
    if isinstance(source, Image.Image):
        with _faults_of("the PIL image"), _frame_kept(source):
            return _decode(source, "the PIL image", max_pixels, frame)
    if hasattr(source, "__array__"):
        return array_to_rgb(np.asarray(source), "the array")
    with _stream(source) as (stream, name), _faults_of(name):
        check_tiff(stream, sentence(name), frame or 0)
        with open_header(stream, name) as image:
            return _decode(image, name, max_pixels, frame)


def _decode(image: Image.Image, name: str, max_pixels: int, frame: int | None) -> np.ndarray:
    _check_size(image, name, max_pixels)
    if frame is not None:
        _seek(image, name, frame)
        _check_size(image, name, max_pixels)
    elif getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: camera thumbnails
        note(name, "holds several pictures: one is read. frame=N reads another.")
    image.load()
    pixels = image_to_rgb(image, name)
    turn = _UPRIGHT.get(_orientation(image))
    return pixels if turn is None else np.array(Image.fromarray(pixels).transpose(turn))


@contextlib.contextmanager
def _stream(source: Source) -> Iterator[tuple[IO[bytes], str]]:
    """Yield a seekable binary file and the name that messages call it by."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), f"the picture in {len(source)} bytes"
    elif isinstance(source, str | os.PathLike):
        name = repr(name_of(source))
        with _faults_of(name):
            file = open(source, "rb")  # noqa: SIM115 - closed below; the body has its own faults
        with file:
            yield _seekable(file, name), name
    elif hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        name = f"the file object {getattr(source, 'name', type(source).__name__)!r}"
        yield _seekable(cast(IO[bytes], source), name), name
    else:
        raise UsageError(
            "A picture is given as a path, bytes, a binary file object, a PIL image or an array. "
            f"Received: {type(source).__name__}."
        )


def _seekable(file: IO[bytes], name: str) -> IO[bytes]:
    """Return the file, or its content if it is a pipe."""
    with _faults_of(name):
        try:
            file.seek(0)
        except (AttributeError, io.UnsupportedOperation):
            return io.BytesIO(file.read())
    return file


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if not 1 <= width * height <= max_pixels:
        raise InputError(
            f"{sentence(name)} is refused before decoding: a picture has 1 to {max_pixels} "
            f"pixels (max_pixels). Received: {width} x {height} = {width * height} pixels. "
            "Make it smaller, or raise max_pixels if you trust it."
        )


def _seek(image: Image.Image, name: str, frame: int) -> None:
    if frame == image.tell():
        return
    if image.format == "TIFF":
        image.seek(frame)  # Its pages have been counted: Pillow would count all of them.
        return
    check_frame(sentence(name), image.size, frame)
    if image.format == "GIF":  # Its header does not say how many there are.
        for number in range(image.tell() + 1, frame + 1):
            try:
                image.seek(number)
            except EOFError as error:
                raise no_frame(sentence(name), frame, number) from error
        return
    count = getattr(image, "n_frames", 1)  # Asked first: a failed seek spoils the answer.
    if frame >= count:
        raise no_frame(sentence(name), frame, count)
    image.seek(frame)


@contextlib.contextmanager
def _frame_kept(image: Image.Image) -> Iterator[None]:
    """Leave the caller's image at the frame where it was."""
    before = image.tell()
    try:
        yield
    finally:
        if image.tell() != before:
            image.seek(before)


def _orientation(image: Image.Image) -> int:
    # Asked for after decoding: PNG may store it behind the pixels, and Pillow turns TIFF itself.
    try:
        with no_warnings():
            return image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1  # Damaged metadata around a good picture: shown as stored, as viewers do.


@contextlib.contextmanager
def _faults_of(name: str) -> Iterator[None]:
    """Turn whatever a decoder or the file system raises into one line about this picture.

    Pillow's decoders raise a dozen types for damaged files; none of them may reach the user.
    """
    try:
        yield
    except KerasViTError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"There is no file {name}. Check the name and the folder.") from error
    except IsADirectoryError as error:
        raise InputError(f"{sentence(name)} is a folder, not a picture. Name a file.") from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{sentence(name)} is refused before decoding: it is larger than Pillow allows. "
            f"Received: {_one_line(error)} Make it smaller."
        ) from error
    except Exception as error:
        raise InputError(
            f"{sentence(name)} cannot be read: it is damaged, cut off or not accessible. "
            f"Received: {type(error).__name__}: {_one_line(error)}. Check or replace the file."
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
