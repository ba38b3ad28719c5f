"""Several saliency maps of one photograph side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.render.drawing import Drawing
from kerasvit.render.look import Look, check_photograph
from kerasvit.render.sheet import WIDTH, Panel, Section, default_columns
from kerasvit.render.standard import framed, head_sections, heads_are_clipped, legend_note, titled

_FEWEST_COLUMNS, _WIDEST_ROW = 3, 8


def comparison_sheet(
    image: np.ndarray,
    seen: np.ndarray,
    maps: Mapping[str, np.ndarray],
    geometry: Geometry,
    predictions: Sequence[tuple[str, float]] | None = None,
    *,
    looks: Mapping[str, Look] | None = None,
    blocks: Mapping[str, np.ndarray] | None = None,
    title: str = "",
    lines: Sequence[str] = (),
    colormap: str = "cividis",
    width: int = WIDTH,
) -> Image.Image:
    """Draw a sheet with one column for each map: the overlays above, the maps alone below.

    The first column holds the photograph, and what the model sees of it.

    Args:
        image: uint8 `(H, W, 3)`, the photograph as it was read.
        seen: uint8 `(h, w, 3)`, the model's input before normalisation.
        maps: `(rows, columns)` by title, at least one.
        geometry: where the model's input lies on the photograph.
        predictions: names and probabilities in [0, 1], most probable first.
        looks: how each map is drawn, by title; `Look()` for those left out.
        blocks: heads' maps `(heads, rows, columns)` by the key of their block, drawn below.
        title: the heading.
        lines: smaller lines below it.
        colormap: see `colourise`.
        width: of the sheet in pixels.

    Returns:
        An RGB picture.

    Raises:
        InputError: if there is no map, or a map or the photograph is not what it should be.
    """
    return comparison_drawing(
        image,
        seen,
        maps,
        geometry,
        predictions,
        looks=looks,
        blocks=blocks,
        title=title,
        lines=lines,
        colormap=colormap,
        width=width,
    ).image()


def comparison_drawing(
    image: np.ndarray,
    seen: np.ndarray,
    maps: Mapping[str, np.ndarray],
    geometry: Geometry,
    predictions: Sequence[tuple[str, float]] | None = None,
    *,
    looks: Mapping[str, Look] | None = None,
    blocks: Mapping[str, np.ndarray] | None = None,
    title: str = "",
    lines: Sequence[str] = (),
    colormap: str = "cividis",
    width: int = WIDTH,
    resolution: float = 1.0,
) -> Drawing:
    """Return what `comparison_sheet` draws as a page of marks.

    Args:
        resolution: pixels of the panels for one of the sheet's; the others are those of
            `comparison_sheet`.
    """
    check_photograph(image, geometry)
    for name, values in maps.items():
        if np.ndim(values) != 2:
            raise InputError(
                "A sheet shows one image's maps, (rows, columns). "
                f"Received: shape {np.shape(values)} for {name!r}."
            )
    looks = {name: (looks or {}).get(name, Look()) for name in maps}
    canvas = Canvas.at_sheet_size(image, geometry, colormap, width=width, resolution=resolution)
    sections = list(_rows(canvas, seen, maps, looks))
    sections += head_sections(canvas, blocks or {}, Look())
    is_clipped = heads_are_clipped(blocks or {}, Look()) or any(
        looks[name].clips(values).any() for name, values in maps.items()
    )
    note = legend_note("each map in its own range", looks.values(), bool(is_clipped))
    return framed(sections, title, lines, predictions, note, colormap, width)


def _rows(
    canvas: Canvas, seen: np.ndarray, maps: Mapping[str, np.ndarray], looks: Mapping[str, Look]
) -> tuple[Section, Section]:
    columns = _columns(len(maps))
    above, below = [Panel(canvas.photograph, "photograph")], [_seen(seen, canvas)]
    for name, values in maps.items():
        look = looks[name]
        title = f"{name}, {look.title}" if look.style == "mask" else name
        above.append(Panel(look.overlay(canvas, values), titled(title, values, look)))
        below.append(Panel(look.heatmap(canvas, values), name))
    return Section(above, columns=columns), Section(below, columns=columns)


def _seen(seen: np.ndarray, canvas: Canvas) -> Panel:
    """Return the model's input with its own pixels, however few there are."""
    times = max(1, -(-canvas.photograph.shape[1] // seen.shape[1]))
    height, width = seen.shape[:2]
    shown = seen.repeat(times, axis=0).repeat(times, axis=1)
    return Panel(shown, f"seen as {height}x{width}")


def _columns(count: int) -> int:
    """Return the cells in a row: one for each map and one for the photograph, if they fit."""
    wanted = max(_FEWEST_COLUMNS, count + 1)
    return wanted if wanted <= _WIDEST_ROW else default_columns(wanted)
