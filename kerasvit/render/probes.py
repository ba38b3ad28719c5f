"""Pictures of what a model holds: measures by layer, similarities, filters, features."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from kerasvit.files import atomic_path
from kerasvit.images.geometry import Geometry
from kerasvit.layout import BlockKey
from kerasvit.render.canvas import Canvas
from kerasvit.render.colour import colourise, import_matplotlib
from kerasvit.render.look import Look
from kerasvit.render.sheet import WIDTH, Panel, Section, sheet
from kerasvit.render.standard import framed

_MOST_TILES = 8
_CELL = 260


def measure_plot(
    path: str | os.PathLike[str],
    values: Mapping[str, np.ndarray],
    label: str,
    title: str,
    overwrite: bool = False,
) -> None:
    """Draw one dot for each head over the blocks, as a PNG.

    Args:
        path: the file to write.
        values: `(H,)` by key of the block, in order of depth.
        label: of the vertical axis, with its unit.
        title: the heading.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
        UsageError: if Matplotlib is not installed.
    """
    figure, axes = _figure(max(4.5, 1.5 + 0.35 * len(values)), 3.6)
    _draw_blocks(axes, values, np.mean, "mean of the heads")
    axes.set_ylabel(label)
    axes.set_ylim(0, 1.05 * max(np.max(heads) for heads in values.values()) or 1)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    _save(figure, path, overwrite)


def sinks_plot(
    path: str | os.PathLike[str],
    measures: Mapping[str, Mapping[str, np.ndarray]],
    labels: Mapping[str, str],
    title: str,
    overwrite: bool = False,
) -> None:
    """Draw several measures below each other, a dot for each value and a line through medians.

    Args:
        path: the PNG to write.
        measures: by name, values `(n,)` or `(n, H)` by key of the block, in order of depth.
        labels: of the vertical axes, by the names of the measures.
        title: the heading.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: as `measure_plot`.
        UsageError: as `measure_plot`.
    """
    blocks = max(map(len, measures.values()))
    figure, axes = _figure(max(4.5, 1.5 + 0.35 * blocks), 2.4 * len(measures), len(measures))
    for own, (name, values) in zip(np.atleast_1d(axes), measures.items(), strict=True):
        _draw_blocks(own, values, np.median, "median")
        own.set_ylabel(labels[name], fontsize=8)
        drawn = np.concatenate([np.reshape(value, -1) for value in values.values()])
        finite = drawn[np.isfinite(drawn)]
        # Ratios, from 1 on, may span powers of ten; shares have 0.
        if len(finite) and finite.min() >= 1 and finite.max() > 10:
            own.set_yscale("log")
    np.atleast_1d(axes)[0].set_title(title, fontsize=10)
    np.atleast_1d(axes)[0].legend(fontsize=8)
    _save(figure, path, overwrite)


def _draw_blocks(
    axes: Any, values: Mapping[str, np.ndarray], middle: Callable[..., Any], name: str
) -> None:
    """Draw a dot for each value above its block, and a line through the middles of the blocks."""
    for position, value in enumerate(values.values()):
        dots = np.reshape(value, -1)
        axes.plot([position] * len(dots), dots, "o", markersize=4, alpha=0.5, color="#31446b")
    middles = [middle(value) for value in values.values()]
    axes.plot(range(len(middles)), middles, "-", linewidth=1, color="#b8961f", label=name)
    _name_blocks(axes.set_xticks, list(values))


def matrix_plot(
    path: str | os.PathLike[str],
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: tuple[str, str],
    title: str,
    overwrite: bool = False,
) -> None:
    """Draw a matrix of values in [0, 1], the first row below, as a PNG.

    Args:
        path: the file to write.
        values: `(R, C)`.
        rows: keys of the blocks.
        columns: keys of the blocks.
        labels: what the rows and the columns are.
        title: the heading.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: as `measure_plot`.
        UsageError: as `measure_plot`.
    """
    figure, axes = _figure(2.6 + 0.28 * len(columns), 2 + 0.28 * len(rows))
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, origin="lower")
    _name_blocks(axes.set_yticks, rows)
    _name_blocks(axes.set_xticks, columns)
    axes.set_ylabel(labels[0])
    axes.set_xlabel(labels[1])
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.85)
    _save(figure, path, overwrite)


def _figure(width: float, height: float, rows: int = 1):
    import_matplotlib()
    from matplotlib.figure import Figure

    # A figure of its own: pyplot would keep it alive and may ask for a display.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows)


def _name_blocks(set_ticks, keys: Sequence[str]) -> None:
    """Name the blocks by stage and number, as many as there is room for."""
    step = max(1, len(keys) // 12)
    names = [f"{block.stage} {block.depth}" for block in map(BlockKey.parse, keys)]
    set_ticks(range(0, len(keys), step), names[::step], fontsize=8)


def _save(figure, path: str | os.PathLike[str], overwrite: bool) -> None:
    with atomic_path(path, overwrite) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def similarity_sheet(values: np.ndarray, title: str = "", lines: Sequence[str] = ()) -> Image.Image:
    """Draw how alike position embeddings are: for some patches, the map of all others.

    Args:
        values: `(rows, columns, rows, columns)`, see `position_similarity`.
        title: the heading.
        lines: smaller lines below it.

    Returns:
        An RGB picture; up to 8 rows and columns of patches, evenly spaced.
    """
    rows, columns = (_spread(count) for count in values.shape[:2])
    low, high = values.min(), values.max()
    scaled = (values - low) / max(high - low, 1e-12)
    panels = [
        Panel(_enlarged(colourise(scaled[row, column])), f"patch {row},{column}")
        for row in rows
        for column in columns
    ]
    section = Section(panels, columns=len(columns))
    note = "all maps in one range"
    return framed([section], title, lines, None, note, "cividis", WIDTH).image()


def filter_sheet(filters: np.ndarray, title: str = "", lines: Sequence[str] = ()) -> Image.Image:
    """Draw the filters that embed patches, grey where they are zero.

    Args:
        filters: `(count, height, width, 3)`, signed, see `patch_filters`.
        title: the heading.
        lines: smaller lines below it.

    Returns:
        An RGB picture, each filter in its own range.
    """
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    shown = np.rint(255 * (0.5 + 0.5 * filters / np.maximum(largest, 1e-12))).astype(np.uint8)
    panels = [Panel(_enlarged(one), f"component {index}") for index, one in enumerate(shown)]
    return sheet(panels, title=title, lines=lines)


def feature_sheet(
    images: Sequence[np.ndarray],
    geometries: Sequence[Geometry],
    colours: np.ndarray,
    norms: np.ndarray,
    title: str = "",
    lines: Sequence[str] = (),
) -> Image.Image:
    """Draw a row for each picture: it, its features as colours, and the length of its tokens.

    Args:
        images: uint8 `(H, W, 3)`.
        geometries: where the model's input lies on each.
        colours: `(pictures, rows, columns, 3)` in [0, 1], see `pca_to_rgb`.
        norms: `(pictures, rows, columns)`, see `token_norms`.
        title: the heading.
        lines: smaller lines below it.
    """
    look = Look(interpolation="nearest", clip=False)  # The longest tokens are the point.
    sections = []
    for image, geometry, own, lengths in zip(images, geometries, colours, norms, strict=True):
        canvas = Canvas.at_sheet_size(image, geometry, "cividis")
        note = f"length of the tokens, {lengths.min():.3g} to {lengths.max():.3g}"
        panels = [
            Panel(canvas.photograph, "photograph"),
            Panel(_coloured(canvas, own), "principal components of the patches"),
            Panel(look.heatmap(canvas, lengths), note),
        ]
        sections.append(Section(panels, columns=3))
    return framed(sections, title, lines, None, "", "cividis", WIDTH).image()


def _coloured(canvas: Canvas, colours: np.ndarray) -> np.ndarray:
    """Return colours of patches on the photograph, which shows in dim grey around them."""
    outside = canvas.overlay(np.zeros(colours.shape[:2]), "heatmap", 1, "nearest")
    placed = canvas.geometry.place(np.moveaxis(colours, -1, 0), interpolation="nearest")
    placed = np.moveaxis(placed, 0, -1)
    seen = np.isfinite(placed).all(axis=-1, keepdims=True)
    return np.where(seen, np.rint(255 * np.nan_to_num(placed)), outside).astype(np.uint8)


def _spread(count: int) -> list[int]:
    """Return up to 8 numbers below `count`, evenly spaced from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, _MOST_TILES))})


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Repeat the pixels of a small picture, so that a sheet does not blur them."""
    times = max(1, -(-_CELL // image.shape[1]))
    return image.repeat(times, axis=0).repeat(times, axis=1)
