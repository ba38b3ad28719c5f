"""A page as a list of marks, which becomes pixels of any number, or a PDF or SVG with real text."""

import dataclasses
from typing import Self

import numpy as np
from PIL import Image, ImageDraw

from kerasvit.render.typography import INK, PAPER, font, shorten

# A sheet of the usual width, 1760 units, is 7.04 inches wide: two columns of most journals.
UNITS_AN_INCH = 250

Colour = tuple[int, int, int]
# Left, top, right and bottom in units of the page.
Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Words:
    """One line of text.

    Args:
        text: what is written.
        position: `(x, baseline)` of its left end, or of its right end.
        size: of the font in units.
        bold: whether it is.
        colour: red, green, blue in [0, 255].
        ends_there: whether the position is the right end.
    """

    text: str
    position: tuple[float, float]
    size: int
    bold: bool = False
    colour: Colour = INK
    ends_there: bool = False

    def moved(self, x: float, y: float) -> Self:
        """Return the text at another place."""
        place = self.position[0] + x, self.position[1] + y
        return dataclasses.replace(self, position=place)


@dataclasses.dataclass(frozen=True)
class Filling:
    """A rectangle of one colour."""

    box: Box
    colour: Colour

    def moved(self, x: float, y: float) -> Self:
        """Return the rectangle at another place."""
        return dataclasses.replace(self, box=_moved(self.box, x, y))


@dataclasses.dataclass(frozen=True)
class Photo:
    """A picture in a rectangle, whatever number of pixels it has.

    Args:
        image: uint8 `(h, w, 3)`.
        box: where it lies.
    """

    image: np.ndarray
    box: Box

    def moved(self, x: float, y: float) -> Self:
        """Return the picture at another place."""
        return dataclasses.replace(self, box=_moved(self.box, x, y))


@dataclasses.dataclass(frozen=True)
class Line:
    """A straight line with round ends; one of no length is a dot.

    Args:
        start: `(x, y)`.
        stop: likewise.
        thickness: in units.
        colour: red, green, blue in [0, 255].
        opacity: in [0, 1].
    """

    start: tuple[float, float]
    stop: tuple[float, float]
    thickness: float
    colour: Colour
    opacity: float = 1.0

    def moved(self, x: float, y: float) -> Self:
        """Return the line at another place."""
        start, stop = ((place[0] + x, place[1] + y) for place in (self.start, self.stop))
        return dataclasses.replace(self, start=start, stop=stop)


class Drawing:
    """A page of marks in units, from the top left.

    Args:
        width: of the page in units; at a resolution of 1 a unit is a pixel.
        height: likewise.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.marks: list[Words | Filling | Photo | Line] = []

    def write(
        self,
        position: tuple[float, float],
        text: str,
        room: float,
        size: int,
        bold: bool = False,
        colour: Colour = INK,
    ) -> float:
        """Write one line with its baseline at `position`, cut to the room; return where it ends."""
        face = font(size, bold)
        text = shorten(text, int(room), face)
        self.marks.append(Words(text, position, size, bold, colour))
        return position[0] + round(face.getlength(text))

    def write_to(
        self,
        position: tuple[float, float],
        text: str,
        size: int,
        bold: bool = False,
        colour: Colour = INK,
    ) -> None:
        """Write one line whose right end is at `position`."""
        self.marks.append(Words(text, position, size, bold, colour, ends_there=True))

    def fill(self, box: Box, colour: Colour) -> None:
        """Fill a rectangle."""
        self.marks.append(Filling(box, colour))

    def place(self, image: np.ndarray, box: Box) -> None:
        """Lay a picture, uint8 `(h, w, 3)`, into a rectangle."""
        self.marks.append(Photo(image, box))

    def connect(
        self,
        start: tuple[float, float],
        stop: tuple[float, float],
        thickness: float,
        colour: Colour,
        opacity: float = 1.0,
    ) -> None:
        """Draw a straight line, or a dot where it has no length."""
        self.marks.append(Line(start, stop, thickness, colour, opacity))

    def insert(self, other: "Drawing", corner: tuple[float, float]) -> None:
        """Lay the marks of another page onto this one."""
        self.marks += [mark.moved(*corner) for mark in other.marks]

    def image(self, resolution: float = 1.0) -> Image.Image:
        """Return the page as an RGB picture.

        Args:
            resolution: pixels a unit.
        """
        size = max(1, round(self.width * resolution)), max(1, round(self.height * resolution))
        page = Image.new("RGB", size, PAPER)
        draw = ImageDraw.Draw(page)
        for mark in self.marks:
            if isinstance(mark, Photo):
                left, top, right, bottom = _pixels(mark.box, resolution)
                page.paste(resized(mark.image, (bottom - top, right - left)), (left, top))
            elif isinstance(mark, Filling):
                left, top, right, bottom = _pixels(mark.box, resolution)
                draw.rectangle((left, top, right - 1, bottom - 1), fill=mark.colour)
            elif isinstance(mark, Line):
                _draw_line(page, mark, resolution)
            else:
                _write(draw, mark, resolution)
        return page


def resized(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return a picture at `(height, width)` in pixels."""
    height, width = size
    # Bicubic rings at the edges of patches, so it is for enlarging only.
    shrinks = width < image.shape[1]
    rule = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return Image.fromarray(image).resize((width, height), rule)


def _write(draw: ImageDraw.ImageDraw, words: Words, resolution: float) -> None:
    place = words.position[0] * resolution, words.position[1] * resolution
    face = font(max(1, round(words.size * resolution)), words.bold)
    anchor = "rs" if words.ends_there else "ls"
    draw.text(place, words.text, fill=words.colour, font=face, anchor=anchor)


def _draw_line(page: Image.Image, line: Line, resolution: float) -> None:
    """Draw a line with smooth edges, which Pillow's own lack."""
    start, stop = np.multiply(line.start, resolution), np.multiply(line.stop, resolution)
    radius = max(line.thickness * resolution, 1) / 2
    lowest = np.floor(np.minimum(start, stop) - radius - 1).clip(0).astype(int)
    highest = np.ceil(np.maximum(start, stop) + radius + 1).clip(0, page.size).astype(int)
    if (highest <= lowest).any():
        return
    x, y = (np.arange(low, high) + 0.5 for low, high in zip(lowest, highest, strict=True))
    along = stop - start
    share = ((x - start[0]) * along[0])[None] + ((y - start[1]) * along[1])[:, None]
    share = np.clip(share / max(float(along @ along), 1e-9), 0, 1)
    away = np.hypot(x[None] - start[0] - share * along[0], y[:, None] - start[1] - share * along[1])
    cover = np.clip(radius + 0.5 - away, 0, 1) * line.opacity
    mask = Image.fromarray(np.rint(255 * cover).astype(np.uint8))
    page.paste(line.colour, (*lowest.tolist(), *highest.tolist()), mask)


def _pixels(box: Box, resolution: float) -> tuple[int, int, int, int]:
    """Return a box in whole pixels, at least one wide and high."""
    left, top, right, bottom = (round(edge * resolution) for edge in box)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _moved(box: Box, x: float, y: float) -> Box:
    left, top, right, bottom = box
    return left + x, top + y, right + x, bottom + y
