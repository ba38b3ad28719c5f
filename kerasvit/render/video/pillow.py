"""Animations by Pillow: GIF, APNG and WebP in, GIF out."""

import contextlib
import dataclasses
import itertools
import math
import pathlib
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import IO

import numpy as np
from PIL import GifImagePlugin, Image

from kerasvit.errors import InputError
from kerasvit.images.colours import image_to_rgb, is_lost_on_white
from kerasvit.images.limits import MAX_MOVING_PIXELS
from kerasvit.render.video.clip import Clip, WriteFrame, damaged

_FORMATS = ("GIF", "PNG", "WEBP")
_BEGINNINGS = (b"GIF8", b"\x89PNG", b"RIFF")
# Browsers show what claims 10 ms or less for 100 ms, and slow down below 20 ms.
_SHORTEST, _IF_UNKNOWN = 10, 100
_FASTEST_GIF = 50
# Pictures and pixels of an animation, all of which are decoded before the first is drawn.
_MOST, _MOST_PIXELS = 100_000, 10**10
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
            return getattr(image, "is_animated", False)
    except Exception:  # Pillow raises a dozen types for damaged files.
        return False


@contextlib.contextmanager
def reader(path: pathlib.Path) -> Iterator[Clip]:
    """Open an animation; see `kerasvit.render.video.frames.open_video`."""
    with contextlib.ExitStack() as stack:
        with _faults_of(path):
            image = stack.enter_context(Image.open(path, formats=_FORMATS))
            survey = _survey(image, path)
        tick, repeats = _even(survey.durations)
        size = image.size[::-1]
        frames = _frames(image, repeats, path, survey.ground)
        yield Clip(1000 * _UNITS / tick, size, sum(repeats), frames, survey.notes)


@dataclasses.dataclass(frozen=True)
class _Survey:
    """What going through all pictures tells.

    Args:
        durations: how long each lasts, in sixths of a millisecond.
        ground: what lies behind all of them.
        notes: what is worth saying.
    """

    durations: list[int]
    ground: str
    notes: list[str]


def _survey(image: Image.Image, path: pathlib.Path) -> _Survey:
    """Decode every picture once: a damaged one ends the animation, with a note."""
    count, is_whole, (width, height) = _count(image, path)
    pixels = width * height
    if pixels > MAX_MOVING_PIXELS or count * pixels > _MOST_PIXELS or count > _MOST:
        raise InputError(
            f"The animation {str(path)!r} is refused: a frame has up to {MAX_MOVING_PIXELS} "
            f"pixels, and {_MOST} frames at most up to {_MOST_PIXELS}. Received: {count} frames of "
            f"{width} x {height}. Make it smaller."
        )
    durations: list[int] = []
    lost: list[bool] = []
    reason = "" if is_whole else "a GIF without its end"
    for index in range(count):
        try:
            image.seek(index)
            # WebP tells the duration only of a picture that is decoded.
            image.load()
        except Exception as error:
            if not index:
                raise
            reason = reason or f"{type(error).__name__}: {error}"
            break
        if all(lost):  # One picture that is seen on white decides.
            lost += _is_lost(image)
        duration = image.info.get("duration", 0)
        durations.append(round(_UNITS * (duration if duration > _SHORTEST else _IF_UNKNOWN)))
    if not durations:
        raise damaged(path, "no picture in it")
    notes = []
    if reason:
        notes.append(
            f"it is damaged or cut off: {len(durations)} pictures are shown ({reason[:200]})"
        )
    return _Survey(durations, "black" if lost and all(lost) else "white", notes)


def _is_lost(image: Image.Image) -> list[bool]:
    """Return whether a picture would be lost on white; nothing of one without anything drawn."""
    if not image.has_transparency_data:
        return [False]
    rgba = image.convert("RGBA")
    return [is_lost_on_white(rgba)] if np.asarray(rgba)[..., 3].any() else []


def _count(image: Image.Image, path: pathlib.Path) -> tuple[int, bool, tuple[int, int]]:
    """Return how many pictures there are, whether a GIF's blocks lead to its trailer, and the size.

    A picture of a GIF may claim to reach beyond the screen, which Pillow then makes larger.

    Source: GIF89a, sections 15 to 27 (https://www.w3.org/Graphics/GIF/spec-gif89a.txt).
    """
    if image.format != "GIF":
        return getattr(image, "n_frames", 1), True, image.size
    count, (right, bottom) = 0, image.size
    with open(path, "rb") as file:
        _skip_colours(file, file.read(13)[10:11])
        while (kind := file.read(1)) == b"!" or kind == b",":
            if kind == b"!":
                file.read(1)
            else:
                count += 1
                left, top, width, height, flags = struct.unpack(
                    "<4Hc", file.read(9).ljust(9, b"\0")
                )
                right, bottom = max(right, left + width), max(bottom, top + height)
                _skip_colours(file, flags)
                file.read(1)
            while length := int.from_bytes(file.read(1)):
                file.seek(length, 1)
        return count, kind == b";", (right, bottom)


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


def _frames(
    image: Image.Image, repeats: list[int], path: pathlib.Path, ground: str
) -> Iterator[np.ndarray]:
    for index, repeat in enumerate(repeats):
        with _faults_of(path):
            image.seek(index)
            image.load()
            frame = image_to_rgb(image, ground=ground)
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
