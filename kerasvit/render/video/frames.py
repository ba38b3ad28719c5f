"""Videos in and out, frame by frame: what they hold in memory does not grow with their length."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.files import atomic_path
from kerasvit.render.video import ffmpeg as video_ffmpeg
from kerasvit.render.video import pillow as video_pillow
from kerasvit.render.video.clip import Clip, WriteFrame

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".webm", ".mkv", ".mpg", ".mpeg", ".wmv", ".3gp")

_WRITERS = {".mp4": video_ffmpeg.writer, ".gif": video_pillow.writer}


def is_video(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a video by its name, or a GIF, PNG or WebP of several pictures.

    Args:
        path: the file; one that is missing or damaged is none.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() in SUFFIXES:
        return os.path.isfile(path)
    return video_pillow.is_animation(path)


@contextlib.contextmanager
def open_video(path: str | os.PathLike[str]) -> Iterator[Clip]:
    """Open a video or an animation.

    GIF, APNG and animated WebP are read by Pillow. Their pictures may last differently long; they
    are repeated so that the rate is even. Everything else is read by ffmpeg, of the first video
    stream, upright, with square pixels, at an even rate, by the reader that its first bytes ask
    for. Transparency lies on white, or on black where nothing would be seen on white. Of a damaged
    or cut video there are the frames that can be read, and a note in `Clip.notes`.

    Args:
        path: the file.

    Yields:
        Its frames and what is known of them. They can be gone through once.

    Raises:
        InputError: if there is no such file, it is no video, or no frame of it can be read.
        UsageError: if ffmpeg is needed and not installed.
    """
    path = pathlib.Path(path)
    if not os.path.isfile(path):
        problem = "is not a file" if os.path.exists(path) else "does not exist"
        raise InputError(f"The video {str(path)!r} {problem}. Check the name and the folder.")
    room = video_pillow if video_pillow.knows(path) else video_ffmpeg
    with room.reader(path) as clip:
        yield clip


@contextlib.contextmanager
def create_video(
    path: str | os.PathLike[str], rate: Fraction | float, overwrite: bool = False
) -> Iterator[WriteFrame]:
    """Write a video; it is there, whole, only when the block has ended without an error.

    MP4 holds H.264 in 4:2:0, BT.709, which browsers and telephones play. That needs even sides:
    the last row or column of an odd picture is repeated once. GIF holds 256 colours a frame,
    delays in hundredths of a second that follow the rate without drifting, and at most 50 frames a
    second: what comes faster is left out.

    Args:
        path: the file to write, `.mp4` or `.gif`.
        rate: frames a second, above 0.
        overwrite: whether an existing file may be replaced.

    Yields:
        A function that takes the next frame, uint8 `(h, w, 3)`, of the first one's size.

    Raises:
        InputError: if a frame is something else, or there was none.
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
        UsageError: if the suffix or the rate is unknown, or ffmpeg is not installed.
    """
    path, rate = pathlib.Path(path), Fraction(rate).limit_denominator(100_000)
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"A video is written as {' or '.join(_WRITERS)}. Received: {str(path)!r}. "
            "Choose one of these suffixes."
        )
    if rate <= 0:
        raise UsageError(f"A video has frames every second. Received: rate={rate}.")
    if path.suffix.lower() == ".mp4":
        video_ffmpeg.executable()
    writer = _WRITERS[path.suffix.lower()]
    with atomic_path(path, overwrite) as temporary, writer(temporary, rate) as write:
        yield _checked(write, path)


def _checked(write: WriteFrame, path: pathlib.Path) -> Callable[[np.ndarray], None]:
    """Return a function that refuses what is no frame of this video."""
    first: list[tuple[int, ...]] = []

    def write_checked(frame: np.ndarray | Image.Image) -> None:
        frame = np.asarray(frame)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise InputError(
                "A frame must be uint8 (h, w, 3). "
                f"Received: {frame.dtype} {frame.shape} for {str(path)!r}."
            )
        first.append(frame.shape) if not first else None
        if frame.shape != first[0]:
            raise InputError(
                "The frames of a video are of one size. "
                f"Received: {frame.shape} after {first[0]} for {str(path)!r}."
            )
        write(frame)

    return write_checked
