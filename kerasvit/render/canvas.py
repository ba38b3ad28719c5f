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
    ) -> Self:
        """Return the canvas of a photograph, resized to the panels of a sheet.

        Args:
            image: uint8 `(H, W, 3)`, the photograph as it was read.
            geometry: where the model's input lies on it.
            colormap: see `colourise`.
            columns: panels in a row.
            width: of the sheet in pixels.
        """
        old = geometry.original_size
        new = cell_size(columns, old[1] / old[0], width)
        down, across = new[0] / old[0], new[1] / old[1]
        top, left, bottom, right = geometry.box
        box = (top * down, left * across, bottom * down, right * across)
        picture = Image.fromarray(image).resize(new[::-1], Image.Resampling.BICUBIC)
        return cls(np.asarray(picture), Geometry(new, box, geometry.input_size), colormap)

    def overlay(
        self, values: np.ndarray, style: str, alpha: float, interpolation: str
    ) -> np.ndarray:
        """Return a map `(rows, columns)` in [0, 1] on the photograph; see `overlay` and `place`."""
        placed = self.geometry.place(values.astype(np.float32), interpolation=interpolation)
        return overlay(self.photograph, placed, self.colormap, alpha, style)

    def heatmap(self, values: np.ndarray, interpolation: str, title: str) -> Panel:
        """Return a panel of the map alone."""
        return Panel(self.overlay(values, "heatmap", 1, interpolation), title)
