"""Two pictures side by side, and lines between the patches that match."""

import colorsys
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasvit.features import Matches, PatchFeatures
from kerasvit.render.canvas import Canvas
from kerasvit.render.drawing import Colour, Drawing
from kerasvit.render.features.sheets import photograph_of
from kerasvit.render.labels import heading
from kerasvit.render.sheet import GAP, MARGIN, WIDTH, cell_size
from kerasvit.render.typography import QUIET
from kerasvit.texts.wording import counted

_CAPTION = 20
_LINE, _DOT, _HALO = 3.0, 10.0, 3.0
# With more lines than this each becomes thinner.
_FEW = 80


def match_sheet(
    first: PatchFeatures,
    second: PatchFeatures,
    matches: Matches,
    *,
    title: str = "",
    lines: Sequence[str] = (),
) -> Image.Image:
    """Draw two pictures side by side, with a line between the centres of patches that match.

    Args:
        first: with its photograph, drawn at the left.
        second: likewise, at the right.
        matches: what `kerasvit.features.match` returned for them.
        title: the heading.
        lines: smaller lines below it.

    Returns:
        An RGB picture. The colour of a line tells where it starts: its direction from the middle of
        all starts.

    Raises:
        InputError: if a picture has no photograph.
    """
    return match_drawing(first, second, matches, title=title, lines=lines).image()


def match_drawing(
    first: PatchFeatures,
    second: PatchFeatures,
    matches: Matches,
    *,
    title: str = "",
    lines: Sequence[str] = (),
    resolution: float = 1.0,
) -> Drawing:
    """Return what `match_sheet` draws as a page of marks, its pictures at a resolution."""
    head = heading(title, [*lines, _sentence(matches)], WIDTH - 2 * MARGIN)
    assert head is not None  # It has at least the sentence.
    top = MARGIN + head.height + GAP + _CAPTION + 8
    boxes = _boxes(first, second, top)
    page = Drawing(WIDTH, math.ceil(max(box[3] for box in boxes)) + MARGIN)
    page.insert(head, (MARGIN, MARGIN))
    ends = []
    for picture, places, box in zip(
        (first, second), (matches.first, matches.second), boxes, strict=True
    ):
        room = box[2] - box[0]
        page.write((box[0], top - 10), picture.name, room, _CAPTION, colour=QUIET)
        shown = box[3] - box[1], box[2] - box[0]
        size = max(1, round(shown[0] * resolution)), max(1, round(shown[1] * resolution))
        canvas = Canvas.at_size(photograph_of(picture), picture.geometry, size, "inferno")
        page.place(canvas.photograph, box)
        steps = np.array(shown) / np.array(picture.geometry.original_size)
        ends.append((picture.centres(places) * steps)[:, ::-1] + np.array(box[:2]))
    _connect(page, ends[0], ends[1])
    return page


def _boxes(
    first: PatchFeatures, second: PatchFeatures, top: float
) -> list[tuple[float, float, float, float]]:
    """Return where the two pictures lie, equally wide."""
    cell = (WIDTH - 2 * MARGIN - GAP) / 2
    boxes = []
    for left, picture in ((MARGIN, first), (MARGIN + cell + GAP, second)):
        height, width = picture.geometry.original_size
        shown = cell_size(2, width / height)
        boxes.append((left, top, left + shown[1], top + shown[0]))
    return boxes


def _connect(page: Drawing, starts: np.ndarray, stops: np.ndarray) -> None:
    """Draw the lines, the most alike on top, then the dots at their ends."""
    thin = min(1.0, math.sqrt(_FEW / max(len(starts), 1)))
    pairs = [
        ((float(start[0]), float(start[1])), (float(stop[0]), float(stop[1])), colour)
        for start, stop, colour in zip(starts, stops, _colours(starts), strict=True)
    ][::-1]
    for start, stop, colour in pairs:
        page.connect(start, stop, _LINE * thin + _HALO * thin, (0, 0, 0), 0.35)
        page.connect(start, stop, _LINE * thin, colour, 0.9)
    for start, stop, colour in pairs:
        for place in (start, stop):
            page.connect(place, place, _DOT * thin + _HALO, (0, 0, 0), 0.8)
            page.connect(place, place, _DOT * thin, colour)


def _colours(places: np.ndarray) -> list[Colour]:
    """Return a colour for each place: its hue is the direction from the middle of all."""
    if not len(places):
        return []
    away = places - places.mean(axis=0)
    hues = np.arctan2(away[:, 1], away[:, 0]) / (2 * math.pi) % 1
    colours = []
    for hue in hues:
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.6, 0.95))
        colours.append((red, green, blue))
    return colours


def _sentence(matches: Matches) -> str:
    if not len(matches):
        return "no two patches are each other's nearest"
    low, high = matches.similarity.min(), matches.similarity.max()
    pairs = counted(len(matches), "pair")
    return f"{pairs} of patches that are each other's nearest, cosine {low:.2f} to {high:.2f}"
