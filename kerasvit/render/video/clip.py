"""What the readers and writers of videos share."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from kerasvit.errors import InputError

WriteFrame = Callable[[np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class Clip:
    """A video that is open.

    Args:
        rate: frames a second, exact: `30000/1001` is no `29.97`.
        size: `(height, width)` of a frame in pixels.
        count: how many frames there are, if known. ffmpeg's is what the file says of its length,
            and may be off by a few.
        frames: uint8 `(h, w, 3)`, RGB, one after the other, once.
        notes: what is worth saying, such as where it is damaged; whole after the last frame.
    """

    rate: Fraction
    size: tuple[int, int]
    count: int | None
    frames: Iterator[np.ndarray]
    notes: list[str] = dataclasses.field(default_factory=list)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.frames


def damaged(path: pathlib.Path, reason: str) -> InputError:
    """Return the error of a video of which no frame can be read.

    Args:
        path: the file.
        reason: what the decoder says.
    """
    return InputError(
        f"The video {str(path)!r} cannot be read: it is damaged, cut off, or no video. "
        f"Received: {' '.join(reason.split())[:200]}. Check or replace the file."
    )
