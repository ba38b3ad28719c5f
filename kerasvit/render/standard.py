"""The standard picture of a saliency map: photograph, map, overlay, and every head."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.layout import STAGES, BlockKey
from kerasvit.render.canvas import Canvas
from kerasvit.render.labels import heading, legend
from kerasvit.render.look import Look, check_photograph
from kerasvit.render.sheet import GAP, MARGIN, WIDTH, Panel, Section, sectioned_sheet
from kerasvit.saliency.normalise import normalise

SCALES = ("panel", "shared")


def saliency_sheet(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    saliency: np.ndarray,
    geometry: Geometry,
    predictions: Sequence[tuple[str, float]] | None = None,
    *,
    title: str = "",
    subtitle: str = "",
    saliency_title: str = "head mean",
    colormap: str = "cividis",
    alpha: float = 0.7,
    style: str = "blend",
    mass: float = 0.6,
    normalisation: str = "minmax",
    scale: str = "panel",
    interpolation: str = "bicubic",
    head_interpolation: str = "nearest",
    width: int = WIDTH,
) -> Image.Image:
    """Draw the standard picture.

    The first row holds the photograph, the saliency map and their overlay; then each block follows
    with its heads, any number of them. Everything lies where it belongs on the whole photograph;
    what the model did not see is dim.

    Args:
        image: uint8 `(H, W, 3)`, the photograph as it was read.
        maps: the heads' maps `(heads, rows, columns)` by the key of their block, in the order to
            draw; may be empty.
        saliency: `(rows, columns)`.
        geometry: where the model's input lies on the photograph.
        predictions: names and probabilities in [0, 1], most probable first.
        title: the heading, for instance the file's name.
        subtitle: a line below it, for instance the model and the method.
        saliency_title: what the saliency map is.
        colormap: see `colourise`.
        alpha: see `overlay`.
        style: see `overlay`; `"mask"` shows the patches with most of the mass.
        mass: their share of the mass, see `mass_mask`.
        normalisation: see `normalise`.
        scale: `"panel"`, each head in its own range; `"shared"`, the heads of a block in one range.
        interpolation: of the saliency map, see `Geometry.place`.
        head_interpolation: of the heads' maps; `"nearest"` shows the patches as they are.
        width: of the sheet in pixels.

    Returns:
        An RGB picture.

    Raises:
        InputError: if a map or the photograph is not what it should be.
        UsageError: if an option is unknown.
    """
    if scale not in SCALES:
        raise UsageError(
            f"There is no such scale. Received: scale={scale!r}. "
            f"Choose one of {', '.join(map(repr, SCALES))}."
        )
    check_photograph(image, geometry)
    _check(maps, saliency)
    look = Look(style, mass, normalisation, interpolation, alpha)
    canvas = Canvas.at_sheet_size(image, geometry, colormap, width=width)
    first = [
        Panel(canvas.photograph, "photograph"),
        Panel(look.heatmap(canvas, saliency), titled(saliency_title, saliency)),
        Panel(look.overlay(canvas, saliency), look.title),
    ]
    sections = [Section(first, columns=3)]
    sections += head_sections(canvas, maps, normalisation, scale, head_interpolation)
    return framed(sections, title, [subtitle], predictions, _note(scale, maps), colormap, width)


def head_sections(
    canvas: Canvas,
    maps: Mapping[str, np.ndarray],
    normalisation: str = "minmax",
    scale: str = "panel",
    interpolation: str = "nearest",
) -> list[Section]:
    """Return the heads of each block as panels.

    Args:
        canvas: what they are drawn on.
        maps: `(heads, rows, columns)` by the key of their block.
        normalisation: see `normalise`.
        scale: `"panel"` or `"shared"`, see `saliency_sheet`.
        interpolation: see `Geometry.place`.
    """
    axes = (-2, -1) if scale == "panel" else (-3, -2, -1)
    sections = []
    for key, heads in maps.items():
        values = normalise(heads, normalisation, axes).values
        panels = [
            canvas.heatmap(value, interpolation, titled(f"head {index}", head))
            for index, (value, head) in enumerate(zip(values, heads, strict=True))
        ]
        sections.append(Section(panels, block_title(key)))
    return sections


def framed(
    sections: Sequence[Section],
    title: str,
    lines: Sequence[str],
    predictions: Sequence[tuple[str, float]] | None,
    note: str,
    colormap: str,
    width: int,
) -> Image.Image:
    """Return a sheet with the heading above its sections and the legend below them."""
    room = width - 2 * MARGIN
    third_column = room - (room - 2 * GAP) // 3
    head = heading(title, lines, room, predictions or (), third_column, colormap)
    return sectioned_sheet(sections, head, legend(note, room, colormap), width)


def block_title(key: str) -> str:
    """Return what a block is called in a picture: `"class attention 0"`."""
    block = BlockKey.parse(key)
    return f"{STAGES[block.stage]} {block.depth}"


def titled(name: str, values: np.ndarray) -> str:
    """Return the title of a map, which says if there was nothing to see."""
    return f"{name} · flat" if normalise(values).flat.all() else name


def _note(scale: str, maps: Mapping[str, np.ndarray]) -> str:
    notes = {"panel": "each map in its own range", "shared": "the heads of a block in one range"}
    return notes[scale] if maps else ""


def _check(maps: Mapping[str, np.ndarray], saliency: np.ndarray) -> None:
    if np.ndim(saliency) != 2:
        raise InputError(
            "A sheet shows one image's saliency, (rows, columns). "
            f"Received: shape {np.shape(saliency)}."
        )
    for key, heads in maps.items():
        if np.ndim(heads) != 3 or not len(heads):
            raise InputError(
                "A sheet shows the heads of one image, (heads, rows, columns). "
                f"Received: shape {np.shape(heads)} for {key!r}."
            )
