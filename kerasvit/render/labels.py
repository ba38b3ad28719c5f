"""The heading of a sheet and the legend at its foot."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from kerasvit.render.colour import colourise
from kerasvit.render.typography import INK, PAPER, QUIET, font, shorten, write

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
) -> Image.Image | None:
    """Draw a title with lines below it on the left, and predictions as bars on the right.

    Args:
        title: one line; none if empty.
        lines: smaller ones; empty ones are left out.
        width: of the heading in pixels.
        predictions: names and probabilities in [0, 1]; the first 5 are drawn.
        predictions_at: their left edge in pixels; None for two thirds of the width.
        colormap: whose dark end colours the bars.

    Returns:
        An RGB picture, or None if there is nothing to draw.
    """
    lines = [line for line in lines if line]
    shown = list(predictions)[:_MOST_PREDICTIONS]
    split = predictions_at if predictions_at is not None else 2 * width // 3
    left_height = (_TITLE + _LEADING if title else 0) + len(lines) * (_LINE + _LEADING)
    height = max(left_height, len(shown) * (_LINE + _LEADING))
    if not height:
        return None
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    room = split - _LINE if shown else width
    y = 0
    if title:
        write(draw, (0, _TITLE - 6), title, room, _TITLE, bold=True)
        y += _TITLE + _LEADING
    for line in lines:
        write(draw, (0, y + _LINE - 4), line, room, _LINE, colour=QUIET)
        y += _LINE + _LEADING
    for rank, (name, probability) in enumerate(shown):
        corner = (split, rank * (_LINE + _LEADING))
        _draw_prediction(draw, corner, width - split, name, probability, rank == 0, colormap)
    return picture


def _draw_prediction(
    draw: ImageDraw.ImageDraw,
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
    write(draw, (x, baseline), name, name_width, _LINE, is_first, INK if is_first else QUIET)
    bar = x + name_width + _LINE
    top, bottom = baseline - 15, baseline - 3
    draw.rectangle((bar, top, bar + bar_width - 1, bottom), fill=_FAINT)
    filled = round(bar_width * min(max(probability, 0), 1))
    if filled:
        dark = tuple(int(part) for part in colourise(np.float32(0.15), colormap))
        draw.rectangle((bar, top, bar + filled - 1, bottom), fill=dark)
    face = font(_LINE, is_first)
    text = f"{probability:.1%}"
    draw.text((x + width, baseline), text, fill=INK if is_first else QUIET, font=face, anchor="rs")


def legend(note: str, width: int, colormap: str = "cividis") -> Image.Image:
    """Draw a bar of the colours, what its ends mean, and a note.

    Args:
        note: one line; none if empty.
        width: of the legend in pixels.
        colormap: see `colourise`.

    Returns:
        An RGB picture.
    """
    picture = Image.new("RGB", (width, _NOTE + 8), PAPER)
    draw = ImageDraw.Draw(picture)
    baseline, length = _NOTE - 1, min(220, width // 4)
    x = write(draw, (0, baseline), "low", width, _NOTE, colour=QUIET) + 12
    bar = np.repeat(colourise(np.linspace(0, 1, length)[None], colormap), 12, axis=0)
    picture.paste(Image.fromarray(bar), (x, baseline - 12))
    x = write(draw, (x + length + 12, baseline), "high", width, _NOTE, colour=QUIET) + 36
    if note:
        draw.text(
            (x, baseline),
            shorten(note, width - x, font(_NOTE)),
            fill=QUIET,
            font=font(_NOTE),
            anchor="ls",
        )
    return picture
