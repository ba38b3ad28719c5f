"""What a file may ask of its decoder before any pixel is decoded: pieces, pages, frames."""

import os
import struct
from typing import IO, NamedTuple

from kerasvit.errors import InputError
from kerasvit.texts.wording import counted

# Pillow spends some 30 microseconds on each strip or tile before it decodes the first.
MAX_PIECES = 65_536
# Pages of a TIFF and frames of an animation that are passed over on the way to one.
MAX_PAGES = 10_000
# Pixels of a frame of a video or an animation: 8K. A decoder holds several of them at once, as four
# bytes a pixel and more, so a photograph's limit would be a gibibyte and a half.
MAX_MOVING_PIXELS = 2**25
# Pixels that are decoded on the way to a frame of an animation: each builds on the one before.
MAX_FRAME_PIXELS = 4 * 10**9

# TIFF 6.0, pages 13 to 16, and the BigTIFF design: bytes of each type of value.
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}
_STRIPS, _TILES = 273, 324
_MAX_TAGS = 4096


class _Layout(NamedTuple):
    """How a TIFF writes its numbers."""

    order: str
    number: str
    entry: str
    offset: str


def check_tiff(stream: IO[bytes], name: str, page: int) -> None:
    """See that a TIFF can be opened at a page in bounded time; any other file passes.

    Args:
        stream: at its start, where it is left.
        name: what messages call the file.
        page: the page that is wanted, from 0.

    Raises:
        InputError: if a page before it, or the page, has too many pieces, or tags that claim more
            than the file holds, or if there are too many pages before it.
    """
    try:
        _check_pages(stream, name, page)
    except struct.error:
        pass  # Cut off: the decoder says so.
    finally:
        stream.seek(0)


def _check_pages(stream: IO[bytes], name: str, page: int) -> None:
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return
    (version,) = struct.unpack(f"{order}H", head[2:4])
    if version == 42:
        layout = _Layout(order, "H", "HHI4s", "I")
        (place,) = struct.unpack(f"{order}I", head[4:8])
    elif version == 43:
        layout = _Layout(order, "Q", "HHQ8s", "Q")
        (place,) = struct.unpack(f"{order}Q", head[8:16])
    else:
        return
    size = stream.seek(0, os.SEEK_END)
    if page >= MAX_PAGES:
        raise InputError(
            f"{name} is read up to page {MAX_PAGES - 1}. Received: frame={page}. Split the file."
        )
    for number in range(page + 1):
        if not 0 < place < size:
            if number and place == 0:
                raise no_frame(name, page, number)
            return
        place = _check_page(stream, name, layout, place, size)


def _check_page(stream: IO[bytes], name: str, layout: _Layout, place: int, size: int) -> int:
    """Check the tags of a page, and return the place of the next one."""
    stream.seek(place)
    (count,) = _read(stream, layout.order + layout.number)
    if count > _MAX_TAGS:
        raise InputError(
            f"{name} is refused before decoding: a page of a TIFF has up to {_MAX_TAGS} tags. "
            f"Received: {count}. It is damaged or made to harm."
        )
    entry = layout.order + layout.entry
    claimed, pieces = 0, 0
    entries = stream.read(count * struct.calcsize(entry))
    for tag, kind, number, _ in struct.iter_unpack(entry, entries):
        claimed += number * _BYTES.get(kind, 1)
        if tag in (_STRIPS, _TILES):
            pieces = max(pieces, number)
    if pieces > MAX_PIECES:
        raise InputError(
            f"{name} is refused before decoding: a page of a TIFF has up to {MAX_PIECES} strips "
            f"or tiles. Received: {pieces}. Save it with larger ones."
        )
    if claimed > 4 * size:  # Some writers share a few bytes between tags.
        raise InputError(
            f"{name} is refused before decoding: its tags claim {claimed} bytes, far more than the "
            f"file has. Received: {size} bytes. It is damaged or made to harm."
        )
    (following,) = _read(stream, layout.order + layout.offset)
    return following


def _read(stream: IO[bytes], layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))


def check_jpeg2000(stream: IO[bytes], name: str) -> None:
    """See that a JPEG 2000 is whole: its decoder shows what is missing as grey without a word.

    Args:
        stream: at its start, where it is left.
        name: what messages call the file.

    Raises:
        InputError: if its code does not end with the marker of its end.

    Source: ISO/IEC 15444-1, annexes A.4.4 and I.4.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        end = _end_of_code(stream, size)
        stream.seek(max(0, end - 2))
        is_whole = end <= size and stream.read(2) == b"\xff\xd9"
    except struct.error:
        is_whole = False
    stream.seek(0)
    if not is_whole:
        raise InputError(
            f"{name} cannot be read: it is a JPEG 2000 that is cut off. Received: no end of its "
            "code. Check or replace the file."
        )


def _end_of_code(stream: IO[bytes], size: int) -> int:
    """Return where the code ends, which may lie in a box."""
    if stream.read(4) == b"\xff\x4f\xff\x51":
        return size
    place = 0
    while True:
        stream.seek(place)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", stream.read(8))
        place = size if length == 0 else place + max(length, 8)
        if kind == b"jp2c":
            return place


def no_frame(name: str, frame: int, count: int) -> InputError:
    """Return the error of a frame or page that a file does not have."""
    return InputError(
        f"{name} has no frame {frame}. Received: {counted(count, 'frame')}, counted from 0. "
        "Choose one of them."
    )


def check_frame(name: str, size: tuple[int, int], frame: int) -> None:
    """See that a frame of an animation can be reached in bounded time.

    Args:
        name: what messages call the file.
        size: of a frame in pixels.
        frame: which one is wanted, from 0.

    Raises:
        InputError: if too much must be decoded before it.
    """
    pixels = (frame + 1) * size[0] * size[1]
    if frame >= MAX_PAGES or pixels > MAX_FRAME_PIXELS:
        raise InputError(
            f"{name} is refused before decoding: every frame before the one that is wanted must be "
            f"decoded, up to {MAX_PAGES} frames and {MAX_FRAME_PIXELS} pixels. Received: "
            f"frame={frame} of {size[0]} x {size[1]} pixels. Cut the file."
        )
