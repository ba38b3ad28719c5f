"""Panels on a figure, with Matplotlib."""

import io
import math
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasvit.errors import UsageError
from kerasvit.files import atomic_path
from kerasvit.saliency.figures.panels import Panel

_COLUMNS = 6
_PANEL = 2.4  # inches
_TITLE = 0.45  # inches
_TITLE_WIDTH = 30  # characters a line
# Height by width of a panel; a panorama gets a frame of this shape.
_RATIOS = (0.3, 2.5)
_MOST_PANELS = 240
# Agg draws no more a side.
_MOST_DOTS = 2**16 - 1
# The same figure gives the same bytes, and text in a PDF stays text.
SETTINGS: Any = {"svg.hashsalt": "kerasvit", "pdf.fonttype": 42}
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}


class SaliencyFigure(Figure):
    """A figure that shows itself at the end of a notebook's cell, once, whatever the backend."""

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


def draw(
    rows: Sequence[Sequence[Panel]],
    *,
    title: str | None,
    colormap: str,
    opacity: float,
    figure: Figure | None,
) -> Figure:
    """Lay panels out, a row for each picture; long rows are broken.

    Raises:
        UsageError: if there is no such colormap, the opacity is out of range, or there are too many
            panels.
    """
    _check(rows, colormap, opacity)
    lines = [row[i : i + _COLUMNS] for row in rows for i in range(0, len(row), _COLUMNS)]
    columns = max(map(len, lines))
    heights = [_PANEL * max(map(_ratio, line)) + _TITLE for line in lines]
    if figure is None:
        size = (_PANEL * columns, sum(heights) + (_TITLE if title else 0))
        figure = SaliencyFigure(figsize=size, layout="compressed")
    grid = figure.add_gridspec(len(lines), columns, height_ratios=heights)
    for number, line in enumerate(lines):
        for column, panel in enumerate(line):
            _draw_panel(figure.add_subplot(grid[number, column]), panel, colormap, opacity)
    if title:
        figure.suptitle(title, parse_math=False)
    return figure


def _draw_panel(axes: Axes, panel: Panel, colormap: str, opacity: float) -> None:
    """Draw a map whose opacity grows with its value, so that low values leave the photograph."""
    if panel.photograph is not None:
        axes.imshow(panel.photograph)
    if panel.values is not None:
        seen = np.nan_to_num(panel.values)
        alpha = None if panel.photograph is None else opacity * seen
        axes.imshow(seen, cmap=colormap, vmin=0, vmax=1, alpha=alpha, interpolation="nearest")
    name = textwrap.fill(panel.title, _TITLE_WIDTH, max_lines=2, placeholder=" …")
    axes.set_title(name, fontsize=9, parse_math=False)
    axes.set_axis_off()


def _ratio(panel: Panel) -> float:
    height, width = panel.size
    return min(max(height / width, _RATIOS[0]), _RATIOS[1])


def _check(rows: Sequence[Sequence[Panel]], colormap: str, opacity: float) -> None:
    if colormap not in matplotlib.colormaps:
        raise UsageError(
            f"Matplotlib has no such colormap. Received: colormap={colormap!r}. "
            "Choose inferno, cividis, viridis, magma, or another of its names."
        )
    if not 0 <= opacity <= 1:
        raise UsageError(f"Opacity lies between 0 and 1. Received: opacity={opacity!r}.")
    count = sum(map(len, rows))
    if not 1 <= count <= _MOST_PANELS:
        raise UsageError(
            f"A figure has 1 to {_MOST_PANELS} panels. Received: {count}. "
            "Choose pictures with result.select(index), or draw several figures."
        )


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight", pad_inches=0.05)
    return stream.getvalue()


def write(
    figure: Figure, path: str | os.PathLike[str], kind: str, dpi: float, overwrite: bool
) -> None:
    """Write a figure, atomically; equal figures give equal bytes.

    Args:
        figure: what `draw` returned.
        path: the file.
        kind: `"png"`, `"pdf"` or `"svg"`.
        dpi: dots an inch; of a PDF or SVG, those of the photographs inside.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
        UsageError: if `dpi` is not above 0, or the picture would be too large.
    """
    is_number = isinstance(dpi, int | float | np.number) and not isinstance(dpi, bool)
    if not (is_number and math.isfinite(dpi) and dpi > 0):
        raise UsageError(f"Dots an inch are a number above 0. Received: dpi={dpi!r}.")
    inches = max(figure.get_size_inches())
    if inches * dpi > _MOST_DOTS:
        raise UsageError(
            f"A picture has up to {_MOST_DOTS} dots a side. Received: dpi={dpi!r} of "
            f"{inches:.1f} inches. Lower dpi, or draw fewer pictures."
        )
    with atomic_path(path, overwrite) as temporary, matplotlib.rc_context(SETTINGS):
        figure.savefig(
            temporary,
            format=kind,
            dpi=dpi,
            bbox_inches="tight",
            pad_inches=0.05,
            metadata=METADATA[kind],
        )
