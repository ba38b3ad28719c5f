"""The standard picture of a saliency map: photograph, map, overlay, and every head."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.render.drawing import Drawing
from kerasvit.render.labels import block_title, heading, legend
from kerasvit.render.look import Look, check_photograph
from kerasvit.render.sheet import GAP, MARGIN, WIDTH, Panel, Section, sectioned_drawing
from kerasvit.saliency.normalise import normalise

SCALES = ("panel", "shared")
_SCALE_AXES = {"panel": (-2, -1), "shared": (-3, -2, -1)}
_SCALE_NOTES = {
    "panel": "each map in its own range",
    "shared": "the heads of a block in one range",
}


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
    style: str = "fade",
    mass: float = 0.6,
    normalisation: str = "minmax",
    clip: bool = True,
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
        clip: whether patches that outshine the rest are cut to the rest, see `clip_brightest`; the
            title of such a map and the legend say so.
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
    return saliency_drawing(
        image,
        maps,
        saliency,
        geometry,
        predictions,
        look=Look(style, mass, normalisation, interpolation, alpha, clip),
        title=title,
        subtitle=subtitle,
        saliency_title=saliency_title,
        colormap=colormap,
        scale=scale,
        head_interpolation=head_interpolation,
        width=width,
    ).image()


def saliency_drawing(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    saliency: np.ndarray,
    geometry: Geometry,
    predictions: Sequence[tuple[str, float]] | None = None,
    *,
    look: Look,
    title: str = "",
    subtitle: str = "",
    saliency_title: str = "head mean",
    colormap: str = "cividis",
    scale: str = "panel",
    head_interpolation: str = "nearest",
    width: int = WIDTH,
    resolution: float = 1.0,
) -> Drawing:
    """Return what `saliency_sheet` draws as a page of marks.

    Args:
        look: how the saliency map is drawn; the others are those of `saliency_sheet`.
        resolution: pixels of the panels for one of the sheet's.
    """
    if scale not in SCALES:
        raise UsageError(
            f"There is no such scale. Received: scale={scale!r}. "
            f"Choose one of {', '.join(map(repr, SCALES))}."
        )
    check_photograph(image, geometry)
    _check(maps, saliency)
    canvas = Canvas.at_sheet_size(image, geometry, colormap, width=width, resolution=resolution)
    first = [
        Panel(canvas.photograph, "photograph"),
        Panel(look.heatmap(canvas, saliency), titled(saliency_title, saliency, look)),
        Panel(look.overlay(canvas, saliency), look.title),
    ]
    sections = [Section(first, columns=3)]
    sections += head_sections(canvas, maps, look, scale, head_interpolation)
    is_clipped = bool(look.clips(saliency).any()) or heads_are_clipped(maps, look, scale)
    note = legend_note(_SCALE_NOTES[scale] if maps else "", [look], is_clipped)
    return framed(sections, title, [subtitle], predictions, note, colormap, width)


def head_sections(
    canvas: Canvas,
    maps: Mapping[str, np.ndarray],
    look: Look,
    scale: str = "panel",
    interpolation: str = "nearest",
) -> list[Section]:
    """Return the heads of each block as panels.

    Args:
        canvas: what they are drawn on.
        maps: `(heads, rows, columns)` by the key of their block.
        look: how they are brought into their range.
        scale: `"panel"` or `"shared"`, see `saliency_sheet`.
        interpolation: see `Geometry.place`.
    """
    axes, look = _SCALE_AXES[scale], _look_of_heads(look, scale)
    sections = []
    for key, heads in maps.items():
        clipped = np.broadcast_to(look.clips(heads, axes), (len(heads), 1, 1))
        panels = [
            canvas.heatmap(value, interpolation, _marked(f"head {index}", head, bool(cut.all())))
            for index, (value, head, cut) in enumerate(
                zip(look.scaled(heads, axes), heads, clipped, strict=True)
            )
        ]
        sections.append(Section(panels, block_title(key)))
    return sections


def heads_are_clipped(maps: Mapping[str, np.ndarray], look: Look, scale: str = "panel") -> bool:
    """Tell whether a head is drawn with its brightest patches cut."""
    look = _look_of_heads(look, scale)
    return any(look.clips(heads).any() for heads in maps.values())


def _look_of_heads(look: Look, scale: str) -> Look:
    # In one range the heads are compared: the brightest stays brighter than the next.
    return look if scale == "panel" else dataclasses.replace(look, clip=False)


def framed(
    sections: Sequence[Section],
    title: str,
    lines: Sequence[str],
    predictions: Sequence[tuple[str, float]] | None,
    note: str,
    colormap: str,
    width: int,
    has_legend: bool = True,
) -> Drawing:
    """Return a sheet with the heading above its sections and the legend below them."""
    room = width - 2 * MARGIN
    third_column = room - (room - 2 * GAP) // 3
    head = heading(title, lines, room, predictions or (), third_column, colormap)
    foot = legend(note, room, colormap) if has_legend else None
    return sectioned_drawing(sections, head, foot, width)


def titled(name: str, values: np.ndarray, look: Look) -> str:
    """Return the title of a map, which says if there was nothing to see, or too much in a patch."""
    return _marked(name, values, bool(look.clips(values).any()))


def _marked(name: str, values: np.ndarray, is_clipped: bool) -> str:
    if normalise(values).flat.all():
        return f"{name} · flat"
    return f"{name} · clipped" if is_clipped else name


def legend_note(scale: str, looks: Iterable[Look], is_clipped: bool) -> str:
    """Return what a legend says of the colours.

    Args:
        scale: what shares a range; may be empty.
        looks: how the sheet's overlays are drawn.
        is_clipped: whether a map's brightest patches are cut.
    """
    notes = [scale] if scale else []
    if any(look.style == "fade" for look in looks):
        notes.append("low values show the photograph")
    if is_clipped:
        notes.append("clipped: 1 % of the patches outshone the rest and are cut to it")
    return "; ".join(notes)


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
