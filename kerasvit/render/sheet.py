"""Pictures side by side with titles, in as many rows as they need."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.render.drawing import Drawing
from kerasvit.render.labels import heading
from kerasvit.render.typography import QUIET

MARGIN = 48
GAP = 16
# The room between the margins plus one gap is 1680, which 3, 4, 5, 6, 7 and 8 columns divide: the
# right edges of all rows of a sheet are in line.
WIDTH = 1680 - GAP + 2 * MARGIN

_SECTION_GAP = 40
_WIDEST_ROW = 8
_FEWEST_COLUMNS = 3
# As tall as a telephone's photographs, 9:16; what is taller is shown smaller.
_TALLEST_CELL = 16 / 9
_LABEL, _CAPTION = 26, 20


@dataclasses.dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Args:
        image: uint8 `(h, w, 3)`.
        title: one line above it; cut where it is too long.

    Raises:
        InputError: if the image is something else.
    """

    image: np.ndarray
    title: str = ""

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InputError(
                "A panel's picture must be uint8 (h, w, 3). "
                f"Received: {image.dtype} {image.shape} for the panel {self.title!r}."
            )


@dataclasses.dataclass(frozen=True)
class Section:
    """Panels that belong together, in rows of equal cells.

    Args:
        panels: at least one.
        title: one line above them; none if empty.
        columns: cells in a row; None for `default_columns`.

    Raises:
        InputError: if there are no panels.
        UsageError: if there is not at least one column.
    """

    panels: Sequence[Panel]
    title: str = ""
    columns: int | None = None

    def __post_init__(self) -> None:
        if not self.panels:
            raise InputError("A sheet needs at least one picture. Received: none.")
        if self.columns is not None and self.columns < 1:
            raise UsageError(
                f"A row has at least one column. Received: columns={self.columns!r}. "
                "Leave it out for a layout that suits the number of pictures."
            )


def default_columns(count: int) -> int:
    """Return the cells in a row for any number of panels: up to 8, in rows of nearly equal length.

    1 to 3 panels get 3, so that a single one does not fill the sheet; 4 get 4, 12 get 6, 16 get 8.
    """
    rows = math.ceil(count / _WIDEST_ROW)
    return max(_FEWEST_COLUMNS, math.ceil(count / rows))


def cell_size(columns: int, aspect: float, width: int = WIDTH) -> tuple[int, int]:
    """Return the size at which a panel is shown.

    Args:
        columns: cells in a row.
        aspect: the panel's width over its height.
        width: of the sheet in pixels.

    Returns:
        `(height, width)` in pixels, each at least 1.

    Raises:
        UsageError: if the sheet is too narrow for so many columns.
    """
    cell = _cell_width(columns, width)
    shown = min(cell, cell * _TALLEST_CELL * aspect)
    return max(1, round(shown / aspect)), max(1, round(shown))


def sheet(
    panels: Sequence[Panel],
    columns: int | None = None,
    title: str = "",
    lines: Sequence[str] = (),
    width: int = WIDTH,
) -> Image.Image:
    """Draw pictures in a grid; cells that are left over stay empty.

    Args:
        panels: 1 or more; each keeps its aspect ratio.
        columns: cells in a row; None for `default_columns`.
        title: the heading; none if empty.
        lines: smaller lines below it.
        width: of the sheet in pixels; the height follows.

    Returns:
        An RGB picture.

    Raises:
        InputError: if there is no panel.
        UsageError: if `columns` is below 1 or the width leaves no room for the panels.
    """
    head = heading(title, lines, max(1, width - 2 * MARGIN))
    return sectioned_sheet([Section(panels, columns=columns)], head, width=width)


def sectioned_sheet(
    sections: Sequence[Section],
    head: Drawing | Image.Image | None = None,
    foot: Drawing | Image.Image | None = None,
    width: int = WIDTH,
) -> Image.Image:
    """Draw groups of pictures one below the other.

    Args:
        sections: 1 or more.
        head: for the top, such as `heading` draws, or a picture.
        foot: for the bottom, such as `legend` draws, or a picture.
        width: of the sheet in pixels; the height follows.

    Returns:
        An RGB picture.

    Raises:
        UsageError: as `sheet`.
    """
    return sectioned_drawing(sections, head, foot, width).image()


def sectioned_drawing(
    sections: Sequence[Section],
    head: Drawing | Image.Image | None = None,
    foot: Drawing | Image.Image | None = None,
    width: int = WIDTH,
) -> Drawing:
    """Return what `sectioned_sheet` draws as a page of marks, for any resolution."""
    parts: list[_Whole | _Grid] = [_Whole(head)] if head is not None else []
    parts += [_Grid(section, width) for section in sections]
    parts += [_Whole(foot)] if foot is not None else []
    height = 2 * MARGIN + sum(part.height for part in parts)
    height += sum(part.space_above for part in parts[1:])
    page = Drawing(width, height)
    top: float = MARGIN
    for index, part in enumerate(parts):
        top += part.space_above if index else 0
        part.lay_onto(page, top)
        top += part.height
    return page


class _Whole:
    """A part of a sheet that is drawn already."""

    space_above = _SECTION_GAP // 2

    def __init__(self, part: Drawing | Image.Image) -> None:
        if isinstance(part, Image.Image):
            picture, part = part, Drawing(*part.size)
            part.place(np.asarray(picture.convert("RGB")), (0, 0, *picture.size))
        self.part, self.height = part, part.height

    def lay_onto(self, page: Drawing, top: float) -> None:
        page.insert(self.part, (MARGIN, top))


class _Grid:
    """A section with the sizes of its cells."""

    def __init__(self, section: Section, width: int) -> None:
        count = len(section.panels)
        self.section = section
        self.columns = default_columns(count) if section.columns is None else section.columns
        self.cell_width = _cell_width(self.columns, width)
        self.sizes = [
            cell_size(self.columns, panel.image.shape[1] / panel.image.shape[0], width)
            for panel in section.panels
        ]
        self.caption = _CAPTION + 8 if any(panel.title for panel in section.panels) else 0
        self.label = _LABEL + 18 if section.title else 0
        self.step = self.caption + max(height for height, _ in self.sizes) + GAP
        self.height = self.label + math.ceil(count / self.columns) * self.step - GAP
        # A section without a title follows the heading.
        self.space_above = _SECTION_GAP if section.title else _SECTION_GAP // 2

    def lay_onto(self, page: Drawing, top: float) -> None:
        if self.section.title:
            room = page.width - 2 * MARGIN
            page.write((MARGIN, top + _LABEL), self.section.title, room, _LABEL, bold=True)
        for index, (panel, size) in enumerate(zip(self.section.panels, self.sizes, strict=True)):
            row, column = divmod(index, self.columns)
            x = MARGIN + column * (self.cell_width + GAP)
            y = top + self.label + row * self.step
            baseline = (x, y + _CAPTION - 2)
            page.write(baseline, panel.title, self.cell_width, _CAPTION, colour=QUIET)
            corner = x, y + self.caption
            page.place(panel.image, (*corner, corner[0] + size[1], corner[1] + size[0]))


def _cell_width(columns: int, width: int) -> int:
    cell = (width - 2 * MARGIN - GAP * (columns - 1)) // columns
    if cell < 16:
        raise UsageError(
            f"A panel needs 16 pixels. Received: {cell} for each of {columns} columns on a sheet "
            f"of width={width}. Choose fewer columns or a wider sheet."
        )
    return cell
