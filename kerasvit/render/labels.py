"""The heading of a sheet, the legend at its foot, and what blocks are called."""

from collections.abc import Sequence

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.layout import STAGES, BlockKey
from kerasvit.render.colour import colourise
from kerasvit.render.drawing import Drawing
from kerasvit.render.typography import INK, QUIET

_TITLE, _LINE, _NOTE = 38, 24, 19
_LEADING = 12
_FAINT = (228, 228, 232)
_MOST_PREDICTIONS = 5


def heading(
    title: str,
    lines: Sequence[str],
    width: int,
    predictions: Sequence[tuple[str, float]] = (),
    predictions_at: int | None = None,
    colormap: str = "cividis",
) -> Drawing | None:
    """Draw a title with lines below it on the left, and predictions as bars on the right.

    Args:
        title: one line; none if empty.
        lines: smaller ones; empty ones are left out.
        width: of the heading in pixels.
        predictions: names and probabilities in [0, 1]; the first 5 are drawn.
        predictions_at: their left edge in pixels; None for two thirds of the width.
        colormap: whose dark end colours the bars.

    Returns:
        A drawing, or None if there is nothing to draw.
    """
    lines = [line for line in lines if line]
    shown = list(predictions)[:_MOST_PREDICTIONS]
    split = predictions_at if predictions_at is not None else 2 * width // 3
    left_height = (_TITLE + _LEADING if title else 0) + len(lines) * (_LINE + _LEADING)
    height = max(left_height, len(shown) * (_LINE + _LEADING))
    if not height:
        return None
    drawing = Drawing(width, height)
    room = split - _LINE if shown else width
    y = 0
    if title:
        drawing.write((0, _TITLE - 6), title, room, _TITLE, bold=True)
        y += _TITLE + _LEADING
    for line in lines:
        drawing.write((0, y + _LINE - 4), line, room, _LINE, colour=QUIET)
        y += _LINE + _LEADING
    for rank, (name, probability) in enumerate(shown):
        corner = (split, rank * (_LINE + _LEADING))
        _draw_prediction(drawing, corner, width - split, name, probability, rank == 0, colormap)
    return drawing


def _draw_prediction(
    drawing: Drawing,
    corner: tuple[int, int],
    width: int,
    name: str,
    probability: float,
    is_first: bool,
    colormap: str,
) -> None:
    """Draw `name [bar] 62.1 %` on one line."""
    x, y = corner
    baseline = y + _LINE - 4
    bar_width, number_width = width // 4, 120
    name_width = width - bar_width - number_width - _LINE
    colour = INK if is_first else QUIET
    drawing.write((x, baseline), name, name_width, _LINE, is_first, colour)
    bar = x + name_width + _LINE
    top, bottom = baseline - 15, baseline - 2
    drawing.fill((bar, top, bar + bar_width, bottom), _FAINT)
    filled = round(bar_width * min(max(probability, 0), 1))
    if filled:
        red, green, blue = (int(part) for part in colourise(np.float32(0.15), colormap))
        drawing.fill((bar, top, bar + filled, bottom), (red, green, blue))
    drawing.write_to((x + width, baseline), f"{probability:.1%}", _LINE, is_first, colour)


def legend(note: str, width: int, colormap: str = "cividis") -> Drawing:
    """Draw a bar of the colours, what its ends mean, and a note.

    Args:
        note: one line; none if empty.
        width: of the legend in pixels.
        colormap: see `colourise`.

    Returns:
        A drawing.
    """
    drawing = Drawing(width, _NOTE + 8)
    baseline, length = _NOTE - 1, min(220, width // 4)
    x = drawing.write((0, baseline), "low", width, _NOTE, colour=QUIET) + 12
    bar = np.repeat(colourise(np.linspace(0, 1, length)[None], colormap), 12, axis=0)
    drawing.place(bar, (x, baseline - 12, x + length, baseline))
    x = drawing.write((x + length + 12, baseline), "high", width, _NOTE, colour=QUIET) + 36
    if note:
        drawing.write((x, baseline), note, width - x, _NOTE, colour=QUIET)
    return drawing


def block_title(key: str) -> str:
    """Return what a block is called in a picture: `"class attention 0"`; other names stay."""
    try:
        block = BlockKey.parse(key)
    except UsageError:
        return key
    return f"{STAGES[block.stage]} {block.depth}"


def blocks_title(keys: Sequence[str]) -> str:
    """Return what the mean over blocks is called: `"class attention 0 + 1"`."""
    numbers = [str(BlockKey.parse(key).depth) for key in keys[1:]]
    return " + ".join([block_title(keys[0]), *numbers])
