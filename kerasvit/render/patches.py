"""What a model sees: its input cut into numbered patches, and the tokens that go before them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.images.records import recorded_preprocessing
from kerasvit.layout import TokenLayout
from kerasvit.render.drawing import Drawing
from kerasvit.render.labels import heading
from kerasvit.render.sheet import GAP, MARGIN, WIDTH
from kerasvit.render.typography import INK, QUIET, font
from kerasvit.texts.wording import counted

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

_NUMBER, _TOKEN = 16, 20
_FAINT = (228, 228, 232)
# Between patches, in units; a number stands above its patch where there is room for it.
_SEAM = 3
_LARGEST_CELL = 168
# A page is no longer than so many times its width.
_TALLEST = 1.4


def patch_sheet(
    model: "ScoreModel",
    pixels: np.ndarray,
    *,
    title: str = "",
    lines: Sequence[str] = (),
    width: int = WIDTH,
) -> Image.Image:
    """Draw what a model is given as its patches, numbered row by row, and name the other tokens.

    Args:
        model: a kerasvit model, whose record says how its pictures are normalised.
        pixels: `(h, w, C)`, prepared for the model, as `Preprocessing.keep_aspect(...).pixels`.
        title: the heading.
        lines: smaller lines below it, above the one that counts the patches.
        width: of the sheet in pixels.

    Returns:
        An RGB picture. Patch 0 is at the top left, the last one at the bottom right; where patches
        are too small for their numbers, a ruler counts rows and columns.

    Raises:
        InputError: if the pixels are no one picture, or their sides no multiples of the patches'.
        UsageError: if the model's record has no preprocessing.
    """
    return patch_drawing(model, pixels, title=title, lines=lines, width=width).image()


def patch_drawing(
    model: "ScoreModel",
    pixels: np.ndarray,
    *,
    title: str = "",
    lines: Sequence[str] = (),
    width: int = WIDTH,
    resolution: float = 1.0,
) -> Drawing:
    """Return what `patch_sheet` draws as a page of marks.

    Args:
        resolution: pixels for a unit of the page that the patches are enlarged for; the others are
            those of `patch_sheet`.
    """
    layout = _layout(model, pixels)
    seen = _shown(model, pixels)
    room = width - 2 * MARGIN
    grid = _Grid(layout, room)
    tokens = _token_row(token_names(model, layout), room)
    head = heading(title, [*lines, _sentence(layout)], room)
    assert head is not None  # It has at least the sentence.
    height = 2 * MARGIN + head.height + GAP + tokens.height + GAP + grid.height
    page = Drawing(width, math.ceil(height))
    page.insert(head, (MARGIN, MARGIN))
    top = MARGIN + head.height + GAP
    page.insert(tokens, (MARGIN, top))
    grid.lay_onto(page, seen, (MARGIN, top + tokens.height + GAP), resolution)
    return page


def token_names(model: "ScoreModel", layout: TokenLayout) -> list[str]:
    """Return what the tokens beside the patches are called, with their numbers, and when they join.

    Args:
        model: a kerasvit model.
        layout: of its self-attention.
    """
    names = [f"token {number}: {_words(name)}" for number, name in enumerate(layout.prefix)]
    if model.num_class_layers:
        late = model.token_layout(_size(layout), "ca")
        joining = [name for name in late.prefix if name not in layout.prefix]
        names += [f"{_words(name)}, joins in class attention" for name in joining]
        names += ["a learned query asks in the pooling"] if late.has_learned_query else []
    return names


def cut_patches(image: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Return the patches `(P, height, width, C)` of a picture `(h, w, C)`, row by row."""
    (rows, columns), (height, width) = layout.grid, layout.patch_size
    cut = image.reshape(rows, height, columns, width, -1).swapaxes(1, 2)
    return cut.reshape(rows * columns, height, width, -1)


class _Grid:
    """The patches on the page: their cells, and where the numbers go."""

    def __init__(self, layout: TokenLayout, room: float) -> None:
        self.layout = layout
        rows, columns = layout.grid
        self.shape = layout.patch_size[0] / layout.patch_size[1]
        self.ruler = font(_NUMBER).getlength(str(layout.num_patches)) + 8
        widest = font(_NUMBER).getlength(str(layout.num_patches - 1)) + 2
        # Every patch has its number above it, unless it is narrower than the number.
        self.is_numbered = self._cell(room, rows, columns, _NUMBER + 4) >= widest
        self.left = 0.0 if self.is_numbered else self.ruler
        self.above = _NUMBER + 4 if self.is_numbered else _SEAM
        self.cell = self._cell(room - self.left, rows, columns, self.above)
        self.step = self.cell * self.shape + self.above
        self.top = 0.0 if self.is_numbered else _NUMBER + 4
        self.height = self.top + rows * self.step

    def _cell(self, room: float, rows: int, columns: int, above: float) -> float:
        by_width = (room + _SEAM) / columns - _SEAM
        by_height = (_TALLEST * room / rows - above) / self.shape
        return max(2.0, min(by_width, by_height, _LARGEST_CELL))

    def lay_onto(
        self, page: Drawing, seen: np.ndarray, corner: tuple[float, float], resolution: float
    ) -> None:
        """Lay the patches of a picture, uint8 `(h, w, 3)`, onto the page."""
        if not self.is_numbered:
            self._lay_ruler(page, corner)
        # With its own pixels, so that enlarging does not mix those of neighbours.
        times = max(1, math.ceil(self.cell * resolution / self.layout.patch_size[1]))
        columns = self.layout.grid[1]
        for number, patch in enumerate(cut_patches(seen, self.layout)):
            row, column = divmod(number, columns)
            x = corner[0] + self.left + column * (self.cell + _SEAM)
            y = corner[1] + self.top + row * self.step + self.above
            box = (x, y, x + self.cell, y + self.cell * self.shape)
            page.place(patch.repeat(times, axis=0).repeat(times, axis=1), box)
            if self.is_numbered:
                page.write((x, y - 4), str(number), self.cell + 8, _NUMBER, colour=QUIET)

    def _lay_ruler(self, page: Drawing, corner: tuple[float, float]) -> None:
        """Write the number of each row's first patch at the left, and the columns above."""
        rows, columns = self.layout.grid
        every_row = math.ceil((_NUMBER + 4) / self.step)
        for row in range(0, rows, every_row):
            y = corner[1] + self.top + row * self.step + self.above
            baseline = y + min(self.cell * self.shape, _NUMBER - 3)
            place = (corner[0] + self.ruler - 8, baseline)
            page.write_to(place, str(row * columns), _NUMBER, colour=QUIET)
        every_column = math.ceil(self.ruler / (self.cell + _SEAM))
        for column in range(every_column, columns, every_column):
            x = corner[0] + self.left + column * (self.cell + _SEAM)
            page.write((x, corner[1] + _NUMBER), f"+{column}", self.ruler, _NUMBER, colour=QUIET)


def _token_row(names: Sequence[str], room: float) -> Drawing:
    """Draw a box for each token that is no patch, in as many rows as they need."""
    height = _TOKEN + 14
    places, x, y = [], 0.0, 0.0
    for name in names:
        length = min(font(_TOKEN).getlength(name) + 24, room)
        if x and x + length > room:
            x, y = 0.0, y + height + 8
        places.append((name, x, y, length))
        x += length + 8
    drawing = Drawing(room, y + height if names else 0)
    for name, left, top, length in places:
        drawing.fill((left, top, left + length, top + height), _FAINT)
        drawing.write((left + 12, top + _TOKEN + 3), name, length - 20, _TOKEN, colour=INK)
    return drawing


def _sentence(layout: TokenLayout) -> str:
    (rows, columns), (height, width) = layout.grid, layout.patch_size
    shift = f" = token {layout.num_prefix} + n" if layout.num_prefix else ""
    return (
        f"{counted(rows, 'row')} x {counted(columns, 'column')} = "
        f"{counted(layout.num_patches, 'patch')} of {height}x{width} pixels, numbered row by row"
        + (f"; patch n{shift}" if shift else "")
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _size(layout: TokenLayout) -> tuple[int, int]:
    (rows, columns), (height, width) = layout.grid, layout.patch_size
    return rows * height, columns * width


def _layout(model: "ScoreModel", pixels: np.ndarray) -> TokenLayout:
    shape = np.shape(pixels)
    patch = model.patch_size
    if len(shape) != 3 or shape[0] % patch[0] or shape[1] % patch[1] or 0 in shape:
        raise InputError(
            f"A model's input is (h, w, channels), its sides multiples of {patch[0]} and "
            f"{patch[1]} pixels. Received: shape {shape}. Prepare the picture first, with "
            "Preprocessing.keep_aspect."
        )
    return model.token_layout(shape[:2])


def _shown(model: "ScoreModel", pixels: np.ndarray) -> np.ndarray:
    """Return prepared pixels as uint8 `(h, w, 3)`."""
    name = model.record.get("release") or "the model"
    image = recorded_preprocessing(model.record, name).restore(pixels)
    return image.repeat(3 // image.shape[2], axis=2)
