"""Figures for a paper: PNG, PDF and SVG of a given number of dots an inch, whole or not at all."""

import math
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.files import atomic_path
from kerasvit.render.drawing import UNITS_AN_INCH, Drawing, Filling, Line, Photo, Words
from kerasvit.render.files import write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_FORMATS = ("png", "pdf", "svg")
DPI_RANGE = 30, 1200
# Points of a font, which Matplotlib counts in.
_POINTS_AN_INCH = 72


def check_dpi(dpi: Any, given: str | None = None) -> None:
    """Raise `UsageError` unless dots an inch are such as a figure can have.

    Args:
        dpi: the number.
        given: how a message calls it; None for what Python writes.
    """
    lowest, highest = DPI_RANGE
    is_number = isinstance(dpi, int | float | np.number) and not isinstance(dpi, bool)
    if not (is_number and math.isfinite(dpi) and lowest <= dpi <= highest):
        received = given or f"dpi={dpi!r}"
        raise UsageError(
            f"Dots an inch lie between {lowest} and {highest}. Received: {received}. "
            "Print asks for 300, a screen for 100."
        )


def write_figure(
    path: str | os.PathLike[str],
    drawing: Drawing,
    kind: str,
    *,
    dpi: float = UNITS_AN_INCH,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Write a page; it is as large on paper whatever the dots an inch.

    Args:
        path: the file to write, whatever its ending.
        drawing: the page.
        kind: of `FIGURE_FORMATS`. In a PDF text stays text, in an SVG it is outlines, so that it
            looks the same without the font.
        dpi: dots an inch, stored in a PNG. A PDF or SVG holds the pictures of the page with the
            pixels that they have.
        title: of a PDF or SVG, which viewers show.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
    """
    if kind == "png":
        write_png(path, drawing.image(dpi / UNITS_AN_INCH), overwrite, dpi)
        return
    figure = _figure(drawing)
    with atomic_path(path, overwrite) as temporary:
        _save(figure, temporary, kind, title)


def write_picture(
    path: str | os.PathLike[str],
    image: np.ndarray,
    kind: str,
    *,
    dpi: float = UNITS_AN_INCH,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Write a picture with its own pixels, `dpi` of them an inch; as `write_figure`.

    Args:
        path: the file to write.
        image: uint8 `(H, W, 3)`.
        kind: of `FIGURE_FORMATS`.
        dpi: which says how large it is printed.
        title: of a PDF or SVG.
        overwrite: whether an existing file may be replaced.
    """
    if kind == "png":
        write_png(path, image, overwrite, dpi)
        return
    height, width = (UNITS_AN_INCH * side / dpi for side in image.shape[:2])
    drawing = Drawing(width, height)
    drawing.place(image, (0, 0, width, height))
    write_figure(path, drawing, kind, title=title, overwrite=overwrite)


def _figure(drawing: Drawing) -> "Figure":
    """Return the page as a figure of Matplotlib, with one axis in units over all of it."""
    from matplotlib.figure import Figure

    size = drawing.width / UNITS_AN_INCH, drawing.height / UNITS_AN_INCH
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for mark in drawing.marks:
        if isinstance(mark, Photo):
            left, top, right, bottom = mark.box
            # Without interpolation a PDF or SVG keeps the picture's own pixels.
            extent = (left, right, bottom, top)
            axes.imshow(mark.image, extent=extent, interpolation="none", aspect="auto")
        elif isinstance(mark, Filling):
            _fill(axes, mark)
        elif isinstance(mark, Line):
            _connect(axes, mark)
        else:
            _write(axes, mark)
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    return figure


def _fill(axes: Any, mark: Filling) -> None:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = mark.box
    colour = [part / 255 for part in mark.colour]
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, facecolor=colour, linewidth=0)
    )


def _connect(axes: Any, line: Line) -> None:
    axes.plot(
        *zip(line.start, line.stop, strict=True),
        linewidth=line.thickness * _POINTS_AN_INCH / UNITS_AN_INCH,
        color=[part / 255 for part in line.colour],
        alpha=line.opacity,
        solid_capstyle="round",
    )


def _write(axes: Any, words: Words) -> None:
    axes.text(
        *words.position,
        words.text,
        fontsize=words.size * _POINTS_AN_INCH / UNITS_AN_INCH,
        fontweight="bold" if words.bold else "normal",
        fontfamily="DejaVu Sans",
        color=[part / 255 for part in words.colour],
        horizontalalignment="right" if words.ends_there else "left",
        verticalalignment="baseline",
        parse_math=False,
    )


def _save(figure: "Figure", path: os.PathLike[str], kind: str, title: str) -> None:
    import matplotlib

    from kerasvit.saliency.figures.drawing import METADATA, SETTINGS

    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes, in a PNG too.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        named = {"Title": title} if title else {}
        figure.savefig(path, format=kind, metadata={**METADATA[kind], **named})
