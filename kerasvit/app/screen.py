"""Maps at the size of a screen, and the places on it that a visitor points at."""

import dataclasses

import numpy as np

from kerasvit.app.asked import Drawing
from kerasvit.app.limits import LONGEST_SIDE, SHORTEST_LONG_SIDE
from kerasvit.images.geometry import Geometry
from kerasvit.look.settings import USUAL_MASS
from kerasvit.render import Canvas, Look

Patch = tuple[int, int]


def look_of(method: str, drawing: Drawing) -> Look:
    """Return how the map of a method is drawn."""
    look = Look.of(method, drawing.style, USUAL_MASS)
    return dataclasses.replace(look, alpha=drawing.opacity, clip=drawing.clip)


def screen_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return how large a photograph of `(height, width)` pixels is shown."""
    longest = max(size)
    shown = min(max(longest, SHORTEST_LONG_SIDE), LONGEST_SIDE)
    height, width = (max(1, round(side * shown / longest)) for side in size)
    return height, width


def canvas_of(image: np.ndarray, geometry: Geometry) -> Canvas:
    """Return a photograph at the size of the screen, for maps in any colours."""
    return Canvas.at_size(image, geometry, screen_size((image.shape[0], image.shape[1])), "inferno")


def patch_at(point: tuple[float, float], geometry: Geometry, grid: tuple[int, int]) -> Patch:
    """Return the patch at a place on the photograph, the nearest one outside of what was seen.

    Args:
        point: `(y, x)` as shares of the height and width.
        geometry: where the model's input lies.
        grid: of its patches.
    """
    y, x = (share * side for share, side in zip(point, geometry.original_size, strict=True))
    row, column = geometry.cell_at(y, x, grid)
    return min(max(row, 0), grid[0] - 1), min(max(column, 0), grid[1] - 1)
