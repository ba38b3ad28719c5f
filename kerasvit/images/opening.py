"""Which decoders may open a picture, and what is said of a file that none of them knows."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import IO

# Imported so that Pillow need not load its other forty decoders to find these.
from PIL import AvifImagePlugin as AvifImagePlugin
from PIL import Image, features
from PIL import Jpeg2KImagePlugin as Jpeg2KImagePlugin
from PIL import TiffImagePlugin as TiffImagePlugin
from PIL import WebPImagePlugin as WebPImagePlugin

from kerasvit.errors import InputError
from kerasvit.images.kinds import kind_of, modern_format
from kerasvit.images.limits import check_jpeg2000

# The last two are in a container that many other files share, and not in every installation.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "HEIF")
_START = 1024

_warning_filters = threading.Lock()


def open_header(stream: IO[bytes], name: str) -> Image.Image:
    """Open a picture without decoding it.

    Args:
        stream: at its start.
        name: what messages call it.

    Raises:
        InputError: if it is no picture; the message says what it is instead.
    """
    start = stream.read(_START)
    stream.seek(0)
    modern = modern_format(start)
    if modern is not None:
        _need_decoder(modern, name)
    try:
        with no_warnings():
            image = Image.open(stream, formats=[modern] if modern else FORMATS[:-2])
    except Image.UnidentifiedImageError as error:
        kind, advice = kind_of(start)
        raise InputError(
            f"{sentence(name)} is {kind}. A picture is one of {', '.join(FORMATS)}. "
            f"Received: first bytes {start[:16]!r}. {advice}."
        ) from error
    if image.format == "JPEG2000":
        check_jpeg2000(stream, sentence(name))
    return image


def _need_decoder(modern: str, name: str) -> None:
    """Make Pillow know a format that not every installation reads.

    Raises:
        InputError: if it cannot: the other pictures of a folder can be read all the same.
    """
    if modern == "AVIF":
        if features.check("avif"):
            return
        received, advice = "a Pillow without AVIF", "pip install --upgrade --force-reinstall pillow"
    else:
        try:
            import pillow_heif
        except ImportError:
            received, advice = "not installed", 'pip install "kerasvit[heif]"'
        else:
            pillow_heif.register_heif_opener(thumbnails=False)
            return
    package = "Pillow's own wheels read" if modern == "AVIF" else "the package pillow-heif reads"
    raise InputError(
        f"{sentence(name)} is a picture of the format {modern}, which {package}. "
        f"Received: {received}. Install it with: {advice}"
    )


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    """Keep Pillow's warnings quiet during a short call: our errors and notes replace them."""
    with _warning_filters, warnings.catch_warnings():  # All threads share the filters.
        warnings.simplefilter("ignore")
        yield


def sentence(name: str) -> str:
    """Return a name as a sentence begins."""
    return name[0].upper() + name[1:]
