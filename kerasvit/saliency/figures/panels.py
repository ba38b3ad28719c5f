"""The panels of a figure: a photograph, and maps laid onto it."""

import dataclasses
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from kerasvit.errors import UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.saliency.figures.appearance import appearance_of
from kerasvit.saliency.normalise import normalise

# Enough for 300 dots an inch on five inches; a photograph of a camera would make a PDF of 50 MB.
_LONGEST_SIDE = 1536


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel.

    Args:
        title: what stands above it.
        size: `(height, width)` in pixels.
        photograph: uint8 `(height, width, 3)`, or None if it was not kept.
        values: `(height, width)` in [0, 1], NaN where the model saw nothing; None for the
            photograph alone.
    """

    title: str
    size: tuple[int, int]
    photograph: np.ndarray | None = None
    values: np.ndarray | None = None


def make_rows(results: Sequence[Any], titles: Sequence[str] | None = None) -> list[list[Panel]]:
    """Return a row for each picture: its photograph, then its map by each of the results.

    Args:
        results: of `SaliencyMap`, of the same pictures or of different ones.
        titles: of the maps, one for each result; None for method and class.

    Raises:
        InputError: if a map is not finite.
        UsageError: if there is another number of titles.
    """
    if titles is not None and len(titles) != len(results):
        raise UsageError(
            "There is one title for each result. "
            f"Received: {len(titles)} titles for {len(results)} results."
        )
    rows: dict[Any, list[Panel]] = {}
    for number, maps in enumerate(results):
        for index in range(len(maps.values)):
            ground = _Ground.of(maps, index)
            row = rows.setdefault(ground.key, list(ground.alone(maps.picture_name(index))))
            title = titles[number] if titles is not None else _title(maps, index, results)
            row.extend(_map_panels(maps, index, ground, title))
    return list(rows.values())


@dataclasses.dataclass(frozen=True)
class _Ground:
    """What the maps of one picture are laid onto: its photograph, or the model's input."""

    key: Any
    geometry: Geometry
    photograph: np.ndarray | None

    @classmethod
    def of(cls, maps: Any, index: int) -> "_Ground":
        size = maps.layout.image_size
        whole = Geometry(size, (0, 0, *size), size)
        geometry = whole if maps.geometries is None else maps.geometries[index]
        shown = _shown_size(geometry.original_size)
        if maps.photographs is None:
            return cls((index, shown), geometry.at_size(shown), None)
        pixels = maps.photographs[index].pixels
        key = maps.picture_name(index), pixels.shape, zlib.crc32(pixels.tobytes())
        small = Image.fromarray(pixels).resize(shown[::-1], Image.Resampling.BICUBIC)
        return cls(key, geometry.at_size(shown), np.asarray(small))

    def alone(self, name: str) -> Iterator[Panel]:
        """Yield the photograph, if it was kept."""
        if self.photograph is not None:
            yield Panel(name or "photograph", self.geometry.original_size, self.photograph)


def _shown_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, _LONGEST_SIDE / max(size))
    height, width = (max(1, round(scale * side)) for side in size)
    return height, width


def _map_panels(maps: Any, index: int, ground: _Ground, title: str) -> Iterator[Panel]:
    appearance = appearance_of(maps.method)
    values = maps.values[index]
    for number, head in enumerate(values if values.ndim == 3 else values[None]):
        scaled = normalise(head, appearance.normalisation).values
        placed = ground.geometry.place(scaled, interpolation=appearance.interpolation)
        name = f"{title}, head {number}" if values.ndim == 3 else title
        size = ground.geometry.original_size
        yield Panel(name, size, ground.photograph, np.clip(placed, 0, 1))


def _title(maps: Any, index: int, results: Sequence[Any]) -> str:
    """Return method and class, and the block where the figure has several of one method."""
    blocks = {other.layers for other in results if other.method == maps.method}
    place = f" {maps.layers[-1]}" if len(blocks) > 1 and maps.layers else ""
    target = maps.target_name(index)
    return f"{maps.method}{place}" + (f": {target}" if target else "")
