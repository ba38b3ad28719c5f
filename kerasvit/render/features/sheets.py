"""Sheets of features: a row for each picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.features import FeaturePCA, PatchFeatures
from kerasvit.features.patches import Patch
from kerasvit.render.canvas import Canvas
from kerasvit.render.drawing import Drawing
from kerasvit.render.features.outline import outline
from kerasvit.render.sheet import WIDTH, Panel, Section
from kerasvit.render.standard import framed
from kerasvit.texts.wording import counted

_COLORMAP = "inferno"
_COVER = 0.7
# Of the photograph's brightness, where a patch has no colour.
_BACKGROUND = 0.3


def pca_sheet(
    pictures: Sequence[PatchFeatures],
    components: FeaturePCA,
    *,
    title: str = "",
    lines: Sequence[str] = (),
) -> Image.Image:
    """Draw a row for each picture: it, its foreground, and that as colours.

    Args:
        pictures: with their photographs.
        components: what `kerasvit.features.pca` made of these pictures.
        title: the heading.
        lines: smaller lines below it.

    Returns:
        An RGB picture.

    Raises:
        InputError: if a picture has no photograph.
    """
    return pca_drawing(pictures, components, title=title, lines=lines).image()


def pca_drawing(
    pictures: Sequence[PatchFeatures],
    components: FeaturePCA,
    *,
    title: str = "",
    lines: Sequence[str] = (),
    resolution: float = 1.0,
) -> Drawing:
    """Return what `pca_sheet` draws as a page of marks, its pictures at a resolution."""
    sections = []
    for picture, mask, colours in zip(pictures, components.masks, components.colours, strict=True):
        canvas = _canvas(picture, resolution)
        share = f"{np.count_nonzero(mask)} of {counted(mask.size, 'patch')}"
        panels = [
            Panel(canvas.photograph, picture.name or "photograph"),
            Panel(canvas.overlay(mask, "mask", 1, "nearest"), f"foreground, {share}"),
            Panel(coloured(canvas, colours), "its components as colours"),
        ]
        sections.append(Section(panels, columns=3))
    first, *others = (f"{share:.0%}" for share in components.explained)
    said = (
        f"first component of {counted(len(pictures), 'picture')}, {first} of the variance: "
        f"foreground; red, green, blue: {', '.join(others)} of the foreground's"
    )
    return framed(sections, title, [*lines, said], None, "", _COLORMAP, WIDTH, has_legend=False)


def patch_similarity_sheet(
    pictures: Sequence[PatchFeatures],
    maps: Sequence[np.ndarray],
    patch: Patch,
    *,
    picture: int = 0,
    title: str = "",
    lines: Sequence[str] = (),
    colormap: str = _COLORMAP,
) -> Image.Image:
    """Draw a row for each picture: it, and how alike its patches are to the one that asks.

    All maps have one range of colours, that of all pictures without the patch itself.

    Args:
        pictures: with their photographs.
        maps: what `kerasvit.features.similarity` returned for them.
        patch: `(row, column)` of the one that asks.
        picture: number of the picture that it lies in.
        title: the heading.
        lines: smaller lines below it.
        colormap: see `colourise`.

    Returns:
        An RGB picture.

    Raises:
        InputError: if a picture has no photograph.
    """
    return similarity_drawing(
        pictures, maps, patch, picture=picture, title=title, lines=lines, colormap=colormap
    ).image()


def similarity_drawing(
    pictures: Sequence[PatchFeatures],
    maps: Sequence[np.ndarray],
    patch: Patch,
    *,
    picture: int = 0,
    title: str = "",
    lines: Sequence[str] = (),
    colormap: str = _COLORMAP,
    resolution: float = 1.0,
) -> Drawing:
    """Return what `patch_similarity_sheet` draws as a page of marks."""
    low, high = shared_range(maps, patch, picture)
    sections = []
    for number, (own, values) in enumerate(zip(pictures, maps, strict=True)):
        canvas = _canvas(own, resolution, colormap)
        scaled = scale(values, low, high)
        shown = canvas.photograph.copy()
        over = canvas.overlay(scaled, "fade", _COVER, "bicubic")
        if number == picture:
            for image in (shown, over):
                outline(image, canvas.geometry, own.grid, patch)
        panels = [
            Panel(shown, own.name or "photograph"),
            Panel(over, "overlay"),
            canvas.heatmap(scaled, "nearest", f"cosine {values.min():.2f} to {values.max():.2f}"),
        ]
        sections.append(Section(panels, columns=3))
    asks = f"likeness to the patch in row {patch[0]}, column {patch[1]}"
    of = f" of {pictures[picture].name}" if pictures[picture].name else ""
    note = f"cosine {low:.2f} to {high:.2f} in all pictures; low values show the photograph"
    return framed(sections, title, [*lines, asks + of], None, note, colormap, WIDTH)


def shared_range(maps: Sequence[np.ndarray], patch: Patch, picture: int) -> tuple[float, float]:
    """Return the lowest and highest value of all maps, without the patch that asks."""
    values = [own.astype(np.float64) for own in maps]
    values[picture] = values[picture].copy()
    values[picture][patch] = np.nan
    every = np.concatenate([own.reshape(-1) for own in values])
    if np.isnan(every).all():
        return 0.0, 1.0
    return float(np.nanmin(every)), float(np.nanmax(every))


def scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values in [0, 1], 0 and 1 at the ends of a range; all 1 where it is empty."""
    if high - low <= 1e-9:
        return np.ones_like(values)
    return np.clip((values - low) / (high - low), 0, 1)


def coloured(canvas: Canvas, colours: np.ndarray) -> np.ndarray:
    """Return patches in their colours `(rows, columns, 3)`; where one has none, grey and dark."""
    none = np.isnan(colours).any(axis=-1)
    filled = np.where(none[..., None], 0, colours)
    placed = canvas.geometry.place(np.moveaxis(filled, -1, 0), interpolation="nearest")
    chosen = canvas.geometry.place(np.where(none, 0.0, 1.0), outside=0, interpolation="nearest")
    grey = np.asarray(Image.fromarray(canvas.photograph).convert("L"), np.float32)[..., None]
    levels = np.where(
        chosen[..., None] > 0.5, 255 * np.nan_to_num(np.moveaxis(placed, 0, -1)), _BACKGROUND * grey
    )
    return np.rint(levels).astype(np.uint8)


def photograph_of(picture: PatchFeatures) -> np.ndarray:
    """Return the photograph of a picture, uint8 `(H, W, 3)`.

    Raises:
        InputError: if it has none, or one of another size than its geometry says.
    """
    size = tuple(picture.geometry.original_size)
    if picture.image is None or picture.image.shape != (*size, 3):
        shape = None if picture.image is None else picture.image.shape
        raise InputError(
            f"A sheet needs the photograph of each picture, (H, W, 3) with {size}. "
            f"Received: {shape} for {picture.name!r}. Use kerasvit.features.extract."
        )
    return picture.image


def _canvas(picture: PatchFeatures, resolution: float, colormap: str = _COLORMAP) -> Canvas:
    return Canvas.at_sheet_size(
        photograph_of(picture), picture.geometry, colormap, resolution=resolution
    )
