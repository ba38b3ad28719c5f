"""Animations by Pillow: GIF, APNG and WebP in, GIF out."""

import contextlib
import itertools
import math
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import IO

import numpy as np
from PIL import GifImagePlugin, Image

from kerasvit.errors import InputError
from kerasvit.images.colours import image_to_rgb
from kerasvit.images.reading import MAX_PIXELS
from kerasvit.render.video.clip import Clip, WriteFrame, damaged

_FORMATS = ("GIF", "PNG", "WEBP")
_BEGINNINGS = (b"GIF8", b"\x89PNG", b"RIFF")
# Browsers show what claims 10 ms or less for 100 ms, and slow down below 20 ms.
_SHORTEST, _IF_UNKNOWN = 10, 100
_FASTEST_GIF = 50
# Times are counted in sixths of a millisecond: 30 and 60 pictures a second are whole numbers.
_UNITS = 6


def knows(path: pathlib.Path) -> bool:
    """Return whether a file begins like one of the three formats."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        start = file.read(12)
        return start.startswith(_BEGINNINGS) and (start[:4] != b"RIFF" or start[8:] == b"WEBP")
    return False


def is_animation(path: pathlib.Path) -> bool:
    """Return whether a file holds several pictures, as far as its header says."""
    if not knows(path):
        return False
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return getattr(image, "n_frames", 1) > 1
    except Exception:  # Pillow raises a dozen types for damaged files.
        return False


@contextlib.contextmanager
def reader(path: pathlib.Path) -> Iterator[Clip]:
    """Open an animation; see `kerasvit.render.video.frames.open_video`."""
    with contextlib.ExitStack() as stack:
        with _faults_of(path):
            image = stack.enter_context(Image.open(path, formats=_FORMATS))
            durations = _durations(image, path)
        tick, repeats = _even(durations)
        size = image.size[::-1]
        count = sum(repeats)
        yield Clip(1000 * _UNITS / tick, size, count, _frames(image, repeats, path))


def _durations(image: Image.Image, path: pathlib.Path) -> list[int]:
    """Return how long each picture lasts, in sixths of a millisecond."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"The animation {str(path)!r} is refused: a frame has up to {MAX_PIXELS} pixels. "
            f"Received: {width} x {height}. Make it smaller."
        )
    if image.format == "GIF" and not _has_trailer(path):
        raise damaged(path, "a GIF without its end")
    durations = []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        # WebP tells it only of a picture that is decoded.
        image.load()
        duration = image.info.get("duration", 0)
        durations.append(round(_UNITS * (duration if duration > _SHORTEST else _IF_UNKNOWN)))
    return durations


def _has_trailer(path: pathlib.Path) -> bool:
    """Return whether a GIF's blocks lead to its trailer: a cut one would only seem shorter.

    Source: GIF89a, sections 15 to 27 (https://www.w3.org/Graphics/GIF/spec-gif89a.txt).
    """
    with open(path, "rb") as file:
        _skip_colours(file, file.read(13)[10:11])
        while (kind := file.read(1)) == b"!" or kind == b",":
            if kind == b"!":
                file.read(1)
            else:
                _skip_colours(file, file.read(9)[8:9])
                file.read(1)
            while length := int.from_bytes(file.read(1)):
                file.seek(length, 1)
        return kind == b";"


def _skip_colours(file: IO[bytes], flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 0x07) + 1, 1)


def _even(durations: list[int]) -> tuple[Fraction, list[int]]:
    """Return the length of one tick, and how many ticks each picture lasts, at least one."""
    tick = Fraction(math.gcd(*durations))
    if tick < 1000 * _UNITS / _FASTEST_GIF:
        if max(durations) <= 2 * min(durations):
            # An even rate that the format cannot write, such as 30, 30 and 40 ms.
            return Fraction(sum(durations), len(durations)), [1] * len(durations)
        tick = Fraction(min(durations))
    ends = [round(end / tick) for end in itertools.accumulate(durations)]
    repeats = [end - start for start, end in itertools.pairwise([0, *ends])]
    return tick, [max(1, repeat) for repeat in repeats]


def _frames(image: Image.Image, repeats: list[int], path: pathlib.Path) -> Iterator[np.ndarray]:
    for index, repeat in enumerate(repeats):
        with _faults_of(path):
            image.seek(index)
            image.load()
            frame = image_to_rgb(image)
        yield from itertools.repeat(frame, repeat)


@contextlib.contextmanager
def _faults_of(path: pathlib.Path) -> Iterator[None]:
    """Turn whatever a decoder raises into one line: Pillow's raise a dozen types."""
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except Exception as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def writer(path: pathlib.Path, rate: Fraction) -> Iterator[WriteFrame]:
    """Write a GIF; see `kerasvit.render.video.frames.create_video`.

    Pillow's own way to save an animation keeps all frames until the end.
    """
    step = max(Fraction(100) / rate, Fraction(100, _FASTEST_GIF))
    with open(path, "wb") as file:
        clock = _Clock(step, Fraction(100) / rate)

        def write(frame: np.ndarray) -> None:
            delay = clock.next_delay()
            if delay:
                _append(file, Image.fromarray(frame), delay, is_first=file.tell() == 0)

        yield write
        if not file.tell():
            raise InputError("A video has at least one frame. Received: none.")
        file.write(b";")


class _Clock:
    """Delays of whole hundredths of a second whose sum follows the frames' true times."""

    def __init__(self, step: Fraction, interval: Fraction) -> None:
        self.step, self.interval = step, interval
        self.frames = self.written = 0

    def next_delay(self) -> int:
        """Return how long the next frame is shown, or 0 if it is left out."""
        start = self.frames * self.interval
        self.frames += 1
        if start < self.written * self.step:
            return 0
        before, after = (round(number * self.step) for number in (self.written, self.written + 1))
        self.written += 1
        return after - before


def _append(file: IO[bytes], frame: Image.Image, hundredths: int, is_first: bool) -> None:
    """Write one frame with a palette of its own."""
    frame = frame.quantize(256)
    if is_first:
        header, _ = GifImagePlugin.getheader(frame.copy(), info={"loop": 0, "optimize": False})
        file.writelines(header)
    file.writelines(
        GifImagePlugin.getdata(frame, duration=10 * hundredths, include_color_table=True)
    )
