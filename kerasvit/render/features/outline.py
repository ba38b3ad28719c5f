"""A frame around a patch."""

import numpy as np

from kerasvit.images.geometry import Geometry


def outline(
    picture: np.ndarray, geometry: Geometry, grid: tuple[int, int], patch: tuple[int, int]
) -> None:
    """Draw a frame around a patch: white within black, to be seen on every ground.

    Args:
        picture: uint8 `(h, w, 3)`, of the geometry's size; it is changed.
        geometry: where the model's input lies on it.
        grid: of the patches.
        patch: `(row, column)`.
    """
    top, left, bottom, right = geometry.box
    edges = [
        round(start + (stop - start) * at / count)
        for start, stop, at, count in (
            (top, bottom, patch[0], grid[0]),
            (left, right, patch[1], grid[1]),
            (top, bottom, patch[0] + 1, grid[0]),
            (left, right, patch[1] + 1, grid[1]),
        )
    ]
    thick = max(2, max(picture.shape[:2]) // 320)
    for grown, colour in ((thick, 0), (0, 255)):
        _frame(picture, edges, grown, thick if colour else 3 * thick, colour)


def _frame(picture: np.ndarray, edges: list[int], grown: int, thick: int, colour: int) -> None:
    """Draw the frame whose outer edge is so far outside the patch."""
    top, left, bottom, right = edges
    height, width = picture.shape[:2]
    rows = slice(max(top - grown, 0), min(bottom + grown, height))
    columns = slice(max(left - grown, 0), min(right + grown, width))
    area = picture[rows, columns]
    kept = area[thick:-thick, thick:-thick].copy()
    area[:] = colour
    if kept.size:
        area[thick:-thick, thick:-thick] = kept
