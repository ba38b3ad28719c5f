"""A photograph at the size of a sheet's panels, and maps drawn onto it."""

import dataclasses
from typing import Self

import numpy as np
from PIL import Image

from kerasvit.images.geometry import Geometry
from kerasvit.render.overlay import overlay
from kerasvit.render.sheet import WIDTH, Panel, cell_size


@dataclasses.dataclass(frozen=True)
class Canvas:
    """The photograph as it is shown, and where maps lie on it.

    Args:
        photograph: uint8 `(h, w, 3)`.
        geometry: where the model's input lies on it.
        colormap: see `colourise`.
    """

    photograph: np.ndarray
    geometry: Geometry
    colormap: str

    @classmethod
    def at_sheet_size(
        cls,
        image: np.ndarray,
        geometry: Geometry,
        colormap: str,
        columns: int = 3,
        width: int = WIDTH,
        resolution: float = 1.0,
    ) -> Self:
        """Return the canvas of a photograph, resized to the panels of a sheet.

        Args:
            image: uint8 `(H, W, 3)`, the photograph as it was read.
            geometry: where the model's input lies on it.
            colormap: see `colourise`.
            columns: panels in a row.
            width: of the sheet in pixels.
            resolution: pixels of the panels for one of the sheet's, for a sheet that is drawn
                larger.
        """
        sides = cell_size(columns, image.shape[1] / image.shape[0], width)
        size = max(1, round(sides[0] * resolution)), max(1, round(sides[1] * resolution))
        return cls.at_size(image, geometry, size, colormap)

    @classmethod
    def at_size(
        cls, image: np.ndarray, geometry: Geometry, size: tuple[int, int], colormap: str
    ) -> Self:
        """Return the canvas of a photograph, resized to `(height, width)` in pixels."""
        picture = Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC)
        return cls(np.asarray(picture), geometry.at_size(size), colormap)

    def overlay(
        self, values: np.ndarray, style: str, alpha: float, interpolation: str
    ) -> np.ndarray:
        """Return a map `(rows, columns)` in [0, 1] on the photograph; see `overlay` and `place`."""
        placed = self.geometry.place(values.astype(np.float32), interpolation=interpolation)
        return overlay(self.photograph, placed, self.colormap, alpha, style)

    def heatmap(self, values: np.ndarray, interpolation: str, title: str) -> Panel:
        """Return a panel of the map alone."""
        return Panel(self.overlay(values, "heatmap", 1, interpolation), title)
