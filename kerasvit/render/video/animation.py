"""One photograph with map after map: through the layers of a model, as a GIF."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from kerasvit.errors import InputError
from kerasvit.files import atomic_path
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.render.look import Look, check_photograph
from kerasvit.render.typography import PAPER, QUIET, write

_LONGEST, _NARROWEST = 560, 240
_CAPTION, _ROOM = 18, 30


def animate(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    geometry: Geometry,
    look: Look | None = None,
    colormap: str = "cividis",
    longest: int = _LONGEST,
) -> list[Image.Image]:
    """Draw one frame for each map, all of one size, with its name below.

    Args:
        image: uint8 `(H, W, 3)`, the photograph as it was read.
        maps: `(rows, columns)` by name, in the order to draw; each in its own range.
        geometry: where the model's input lies on the photograph.
        look: how the maps are drawn.
        colormap: see `colourise`.
        longest: the longer side of the photograph in pixels.

    Returns:
        RGB pictures, at least one.

    Raises:
        InputError: if there is no map, or the photograph is not what it should be.
    """
    check_photograph(image, geometry)
    if not maps:
        raise InputError("An animation needs at least one map. Received: none.")
    scale = longest / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    look, canvas = look or Look(), Canvas.at_size(image, geometry, (height, width), colormap)
    frames = []
    for name, values in maps.items():
        page = Image.new("RGB", (max(width, _NARROWEST), height + _ROOM), PAPER)
        page.paste(Image.fromarray(look.overlay(canvas, values)), (0, 0))
        room = page.width - 16
        write(ImageDraw.Draw(page), (8, height + 21), name, room, _CAPTION, colour=QUIET)
        frames.append(page)
    return frames


def write_gif(
    path: str | os.PathLike[str],
    frames: Sequence[Image.Image],
    seconds: float = 0.5,
    last_seconds: float = 1.5,
    overwrite: bool = False,
) -> None:
    """Write pictures as a GIF that starts again, atomically.

    Args:
        path: the file to write.
        frames: RGB pictures of one size, at least one.
        seconds: how long each is shown.
        last_seconds: how long the last one is.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
    """
    milliseconds = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * last_seconds)]
    first, *others = frames
    with atomic_path(path, overwrite) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=others,
            duration=milliseconds,
            loop=0,
        )
