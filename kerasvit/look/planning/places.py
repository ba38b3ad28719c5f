"""Where the outputs of each picture lie below the folder of a run."""

import collections
import hashlib
import os
import pathlib
import re
import urllib.parse
from collections.abc import Sequence
from typing import NamedTuple

from kerasvit.errors import UsageError
from kerasvit.images.inputs import PictureFile


def output_places(pictures: Sequence[PictureFile]) -> list[tuple[str, ...]]:
    """Return the place of each picture's outputs: folders, and the name without its ending.

    That is the picture's own name, below the sub-folders that were gone through to it. Pictures
    that would coincide get what tells them apart: of one folder their endings, of several as many
    of the folders above them as it takes. A picture's place depends on which others there are, not
    on their order.

    Args:
        pictures: those of a run.
    """
    above = [_folders_above(picture) for picture in pictures]
    directories = [os.path.dirname(os.path.abspath(picture.path)) for picture in pictures]
    places = _named(pictures, directories)
    while True:
        # Folders above cannot tell two of one folder apart, such as A.png and a.png.
        shared = _shared(places, directories)
        longer = [
            (folders[-len(place)], *place)
            if len(shared[_folded(place)]) > 1 and len(place) <= len(folders)
            else place
            for place, folders in zip(places, above, strict=True)
        ]
        if longer == places:
            return places
        places = longer


def _named(pictures: Sequence[PictureFile], directories: list[str]) -> list[tuple[str, ...]]:
    """Return the places below the sub-folders, with endings where one folder's would coincide."""
    has_ending = [False] * len(pictures)
    while True:
        places = [
            (*picture.below, picture.path.name if ending else picture.path.stem)
            for picture, ending in zip(pictures, has_ending, strict=True)
        ]
        # An ending may itself be what another's name holds: cat.jpg beside cat.png and cat.jpg.png.
        keys = [
            (directory, _folded(place[-1:]))
            for directory, place in zip(directories, places, strict=True)
        ]
        counts = collections.Counter(keys)
        needed = [ending or counts[key] > 1 for ending, key in zip(has_ending, keys, strict=True)]
        if needed == has_ending:
            return places
        has_ending = needed


def _shared(places: list[tuple[str, ...]], directories: list[str]) -> dict[str, set[str]]:
    """Return the folders whose pictures have a place, by its name without capitals."""
    shared: dict[str, set[str]] = collections.defaultdict(set)
    for place, directory in zip(places, directories, strict=True):
        shared[_folded(place)].add(directory)
    return shared


def _folded(place: tuple[str, ...]) -> str:
    return "/".join(place).casefold()  # Some file systems know no capitals.


def _folders_above(picture: PictureFile) -> list[str]:
    """Return the names of the folders above a picture, the nearest last."""
    if picture.name == str(picture.path):
        return list(pathlib.Path(os.path.abspath(picture.path)).parent.parts[1:])
    parts = urllib.parse.urlsplit(picture.name)
    names = [parts.netloc, *urllib.parse.unquote(parts.path).split("/")[:-1]]
    return [name for name in (re.sub(r"[^\w.-]+", "_", name).lstrip(".") for name in names) if name]


class Shard(NamedTuple):
    """One of the parts that a run's pictures are divided into, each of them the work of a job.

    Which part a picture belongs to follows from its name and its sub-folders alone: not from the
    pictures beside it, nor from where the folder is mounted.

    Args:
        number: of the part, from 1.
        of: how many parts there are.
    """

    number: int
    of: int

    @classmethod
    def read(cls, value: "str | tuple[int, int] | Shard") -> "Shard":
        """Read `"2/8"`, or a pair of numbers.

        Raises:
            UsageError: if it is something else, or the first is not from 1 to the second.
        """
        numbers = value.split("/") if isinstance(value, str) else value
        try:
            number, count = map(int, numbers)
        except (TypeError, ValueError):
            number, count = 0, 0
        if not 1 <= number <= count:
            raise UsageError(
                "A shard is I/N: the part I, from 1 to N, of N parts. "
                f"Received: {value!r}. Try 1/4, 2/4, 3/4 and 4/4"
            )
        return cls(number, count)

    def holds(self, picture: PictureFile) -> bool:
        """Return whether a picture is one of this part."""
        name = os.fsencode("/".join((*picture.below, picture.path.name)))
        digest = int.from_bytes(hashlib.sha256(name).digest()[:8])
        return digest % self.of == self.number - 1

    @property
    def manifest(self) -> str:
        """The name of this part's manifest."""
        return f"manifest.{self.number}-of-{self.of}.json"
