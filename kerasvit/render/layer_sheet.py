"""Every head of every layer at a glance, in whole layers a row, and their average."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.render.labels import block_title, heading, legend
from kerasvit.render.sheet import MARGIN, WIDTH, Panel, Section, sectioned_sheet
from kerasvit.render.standard import SCALES
from kerasvit.saliency.normalise import normalise

# Fewer would make panels that fill the page, and pages that nobody scrolls through.
_FEWEST_COLUMNS = 8


def layer_sheet(
    images: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    geometries: Sequence[Geometry],
    *,
    average: np.ndarray | None = None,
    average_title: str = "average attention",
    title: str = "",
    lines: Sequence[str] = (),
    colormap: str = "cividis",
    scale: str = "panel",
    width: int = WIDTH,
) -> Image.Image:
    """Draw the sheet for one or more pictures, one below the other.

    For each picture, it, the average map and their overlay; then a row for each layer with a column
    for each head, or for several layers where heads are few.

    Args:
        images: uint8 `(H, W, 3)`.
        maps: `(pictures, heads, rows, columns)` by key of the block, in the order to draw, all
            with as many heads; may be empty.
        geometries: where the model's input lies on each picture.
        average: `(pictures, rows, columns)`; None for the mean of all layers and heads.
        average_title: what it is.
        title: the heading; none if empty.
        lines: smaller lines below it.
        colormap: see `colourise`.
        scale: `"panel"`, each map in its own range; `"shared"`, all maps of a picture in one.
        width: of the sheet in pixels; the height follows.

    Returns:
        An RGB picture.

    Raises:
        InputError: if pictures, maps and geometries do not fit.
        UsageError: if an option is unknown, or there are too many heads for the width.

    Source: the figure that a widely read notebook on vision transformers redraws while it trains:
    the picture, the average attention, and the class token's attention of each layer and head.
    """
    maps = {key: np.asarray(values) for key, values in maps.items()}
    _check(images, maps, geometries, average, scale)
    if average is None:
        average = np.concatenate(list(maps.values()), axis=1).mean(axis=1)
    sections: list[Section] = []
    for index, (image, geometry) in enumerate(zip(images, geometries, strict=True)):
        canvas = Canvas.at_sheet_size(image, geometry, colormap, width=width)
        sections.append(_first_row(canvas, average[index], average_title))
        if maps:
            own = {key: values[index] for key, values in maps.items()}
            sections.append(_grid(image, geometry, own, colormap, scale, width))
    room = width - 2 * MARGIN
    notes = {"panel": "each map in its own range", "shared": "all maps of a picture in one range"}
    foot = legend(notes[scale] if maps else "", room, colormap)
    return sectioned_sheet(sections, heading(title, lines, room), foot, width)


def _first_row(canvas: Canvas, average: np.ndarray, title: str) -> Section:
    values, flat = normalise(average)
    panels = [
        Panel(canvas.photograph, "picture"),
        canvas.heatmap(values, "nearest", f"{title} · flat" if flat.all() else title),
        Panel(canvas.overlay(values, "fade", 0.7, "bicubic"), "overlay"),
    ]
    return Section(panels, columns=3)


def _grid(
    image: np.ndarray,
    geometry: Geometry,
    maps: Mapping[str, np.ndarray],
    colormap: str,
    scale: str,
    width: int,
) -> Section:
    heads = next(iter(maps.values())).shape[0]
    columns = heads * max(1, min(len(maps), _FEWEST_COLUMNS // heads))
    canvas = Canvas.at_sheet_size(image, geometry, colormap, columns=columns, width=width)
    every = np.stack(list(maps.values()))
    values = normalise(every, axes=(-2, -1) if scale == "panel" else (-4, -3, -2, -1)).values
    panels = [
        canvas.heatmap(value, "nearest", f"{_short(key)} · {head}")
        for key, layer in zip(maps, values, strict=True)
        for head, value in enumerate(layer)
    ]
    return Section(panels, f"{_stages(maps)}: layer · head", columns=columns)


def _short(key: str) -> str:
    return block_title(key).split()[-1]


def _stages(maps: Mapping[str, np.ndarray]) -> str:
    return ", ".join(dict.fromkeys(block_title(key).rsplit(" ", 1)[0] for key in maps))


def _check(
    images: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    geometries: Sequence[Geometry],
    average: np.ndarray | None,
    scale: str,
) -> None:
    if scale not in SCALES:
        raise UsageError(
            f"There is no such scale. Received: scale={scale!r}. "
            f"Choose one of {', '.join(map(repr, SCALES))}."
        )
    shapes = {values.shape for values in maps.values()}
    fits = all(len(shape) == 4 and shape[0] == len(images) and shape[1] for shape in shapes)
    if not len(images) or len(geometries) != len(images) or not fits or len(shapes) > 1:
        raise InputError(
            "A sheet of layers needs one geometry for each picture and, for each layer, maps "
            "(pictures, heads, rows, columns) of one shape. Received: "
            f"{len(images)} pictures, {len(geometries)} geometries, maps of {sorted(shapes)}."
        )
    if average is None and not maps:
        raise InputError("A sheet of layers needs maps or their average. Received: neither.")
