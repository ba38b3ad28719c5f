"""Fonts and the fitting of text; the fonts are those that Matplotlib carries."""

import functools
import pathlib

from PIL import ImageDraw, ImageFont

from kerasvit.render.colour import import_matplotlib

INK = (26, 26, 28)
QUIET = (112, 112, 118)
PAPER = (255, 255, 255)


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which knows Latin, Greek and Cyrillic names, at a size in pixels."""
    folder = import_matplotlib().get_data_path()
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(folder, "fonts", "ttf", name), size)


def shorten(text: str, width: int, face: ImageFont.FreeTypeFont) -> str:
    """Return the text on one line, cut with an ellipsis where it is wider than `width` pixels."""
    text = " ".join(text.split())
    if face.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = face.getlength(text[:middle].rstrip() + "…") <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low].rstrip() + "…"


def write(
    draw: ImageDraw.ImageDraw,
    position: tuple[int, int],
    text: str,
    width: int,
    size: int,
    bold: bool = False,
    colour: tuple[int, int, int] = INK,
) -> int:
    """Write one line with its baseline at `position`, and return the x where it ends."""
    face = font(size, bold)
    text = shorten(text, width, face)
    draw.text(position, text, fill=colour, font=face, anchor="ls")
    return position[0] + round(face.getlength(text))
