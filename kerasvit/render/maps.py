"""A saliency map from Python: drawn over its photograph, and saved with its numbers."""

import os
import pathlib

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.render.files import write_png
from kerasvit.render.look import Look, check_photograph
from kerasvit.saliency import SaliencyMap


def draw_map(
    image: np.ndarray,
    saliency: SaliencyMap,
    index: int = 0,
    *,
    look: Look | None = None,
    colormap: str = "cividis",
) -> np.ndarray:
    """Draw one image's map over its photograph.

    Args:
        image: uint8 `(H, W, 3)`: the photograph, where the map has its geometry; else the model's
            own input.
        saliency: the maps, heads combined.
        index: which of the images.
        look: how it is drawn; None for the way of its method: colours over the photograph,
            where signed maps start at 0 and masks end where a patch ends.
        colormap: see `colourise`.

    Returns:
        uint8 `(H, W, 3)`.

    Raises:
        InputError: if the photograph is not that of the geometry, or the map is not finite.
        UsageError: if there is no such image, or the heads are kept apart.
    """
    chosen = saliency.select(index)
    if chosen.values.ndim != 3:
        raise UsageError(
            "One map is drawn over a photograph. Received: the heads on their own. "
            "Combine them: saliency.fuse('mean')."
        )
    size = (image.shape[0], image.shape[1])
    whole = Geometry(size, (0, 0, *size), chosen.layout.image_size)
    geometry = whole if chosen.geometries is None else chosen.geometries[0]
    check_photograph(image, geometry)
    look = look or Look.of(chosen.method)
    return look.overlay(Canvas(image, geometry, colormap), chosen.values[0])


def save_map(
    path: str | os.PathLike[str],
    image: np.ndarray,
    saliency: SaliencyMap,
    index: int = 0,
    *,
    look: Look | None = None,
    colormap: str = "cividis",
    overwrite: bool = False,
) -> list[pathlib.Path]:
    """Write one image's map as a picture, and its numbers with their settings beside it.

    Args:
        path: the PNG; the numbers go to the same name with `.npz`, see `SaliencyMap.load_npz`.
        image: as for `draw_map`, as the arguments that follow.
        saliency: the maps.
        index: which of the images.
        look: how it is drawn.
        colormap: see `colourise`.
        overwrite: whether existing files may be replaced.

    Returns:
        The two files.

    Raises:
        InputError: as `draw_map`.
        OutputError: if a file cannot be written, or exists and `overwrite` is false.
        UsageError: as `draw_map`.
    """
    files = [pathlib.Path(path), pathlib.Path(path).with_suffix(".npz")]
    picture = draw_map(image, saliency, index, look=look, colormap=colormap)
    saliency.select(index).save_npz(files[1], overwrite)
    write_png(files[0], picture, overwrite)
    return files
