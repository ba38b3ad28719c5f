"""The standard picture of a saliency map: photograph, map, overlay, and every head."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.render.labels import heading, legend
from kerasvit.render.sheet import GAP, MARGIN, WIDTH, Panel, Section, sectioned_sheet
from kerasvit.saliency.mass import mass_mask
from kerasvit.saliency.normalise import normalise
from kerasvit.saliency.scores import block_number

SCALES = ("panel", "shared")

_STAGES = {"ca": "class attention", "sa": "self-attention"}


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
    _check(image, maps, saliency, geometry)
    canvas = Canvas.at_sheet_size(image, geometry, colormap, width=width)
    values, flat = normalise(saliency, normalisation)
    if style == "mask":
        drawn = canvas.overlay(mass_mask(saliency, mass), style, alpha, "nearest")
    else:
        drawn = canvas.overlay(values, style, alpha, interpolation)
    first = [
        Panel(canvas.photograph, "photograph"),
        canvas.heatmap(values, interpolation, _named(saliency_title, flat)),
        Panel(drawn, f"{mass:.0%} of the mass" if style == "mask" else "overlay"),
    ]
    axes = (-2, -1) if scale == "panel" else (-3, -2, -1)
    sections = [Section(first, columns=3)]
    for key, heads in maps.items():
        values, _ = normalise(heads, normalisation, axes)
        panels = [
            canvas.heatmap(value, head_interpolation, _named(f"head {index}", flat))
            for index, (value, flat) in enumerate(zip(values, normalise(heads).flat, strict=True))
        ]
        sections.append(Section(panels, block_title(key)))
    room = width - 2 * MARGIN
    third_column = room - (room - 2 * GAP) // 3
    head = heading(title, [subtitle], room, predictions or (), third_column, colormap)
    return sectioned_sheet(sections, head, legend(_note(scale, maps), room, colormap), width)


def block_title(key: str) -> str:
    """Return what a block is called in a picture: `"class attention 0"`."""
    stage = _STAGES.get(key.split("_")[0])
    return f"{stage} {block_number(key)}" if stage else key


def _named(name: str, flat: np.ndarray) -> str:
    """Return the title of a map, which says if there was nothing to see."""
    return f"{name} · flat" if flat.all() else name


def _note(scale: str, maps: Mapping[str, np.ndarray]) -> str:
    notes = {"panel": "each map in its own range", "shared": "the heads of a block in one range"}
    return notes[scale] if maps else ""


def _check(
    image: np.ndarray, maps: Mapping[str, np.ndarray], saliency: np.ndarray, geometry: Geometry
) -> None:
    if image.dtype != np.uint8 or image.shape != (*geometry.original_size, 3):
        raise InputError(
            "The photograph must be uint8 (H, W, 3) of the size that its geometry names, "
            f"{geometry.original_size}. Received: {image.dtype} {image.shape}."
        )
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
