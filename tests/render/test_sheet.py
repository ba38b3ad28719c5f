import itertools

import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.render.sheet import (
    GAP,
    MARGIN,
    WIDTH,
    Panel,
    Section,
    cell_size,
    default_columns,
    sectioned_sheet,
    sheet,
)

COLOURS = [(200, 0, 0), (0, 160, 0), (0, 0, 200), (200, 160, 0), (0, 160, 200), (160, 0, 160)]


def panel(colour, height=30, width=40, title=""):
    return Panel(np.full((height, width, 3), colour, np.uint8), title)


def box_of(page, colour):
    """(top, left, bottom, right) of the pixels of a colour, and whether they fill it."""
    found = (np.asarray(page) == colour).all(axis=-1)
    places = np.argwhere(found)
    top, left = places.min(axis=0)
    bottom, right = places.max(axis=0) + 1
    return (top, left, bottom, right), len(places) == (bottom - top) * (right - left)


@pytest.mark.parametrize("count", range(1, 49))
def test_rows_are_of_nearly_equal_length_and_at_most_8(count):
    columns = default_columns(count)
    assert 3 <= columns <= 8
    rows = -(-count // columns)
    assert rows * columns >= count
    assert rows == -(-count // 8) or columns == 3
    if count >= 3:
        # No narrower grid would do with as many rows.
        assert columns == 3 or (columns - 1) * rows < count


def test_the_usual_counts_of_heads_fill_their_rows():
    expected = {3: 3, 4: 4, 5: 5, 6: 6, 8: 8, 12: 6, 16: 8, 24: 8}
    assert {count: default_columns(count) for count in expected} == expected


@pytest.mark.parametrize("columns", [3, 4, 5, 6, 7, 8])
def test_the_right_edges_of_all_rows_are_in_line(columns):
    page = sheet([panel(COLOURS[i % 6], title="x") for i in range(columns)])
    dark = np.argwhere(np.asarray(page).min(axis=(0, 2)) < 128)
    assert dark.min() == MARGIN
    assert dark.max() == WIDTH - MARGIN - 1


@pytest.mark.parametrize("count", range(1, 7))
@pytest.mark.parametrize("columns", [None, 1, 2, 4])
def test_every_panel_is_drawn_whole_and_in_reading_order(count, columns):
    page = sheet([panel(colour) for colour in COLOURS[:count]], columns, width=600)
    assert page.mode == "RGB"
    assert page.width == 600
    boxes = []
    for colour in COLOURS[:count]:
        (top, left, bottom, right), filled = box_of(page, colour)
        assert filled
        assert (right - left) / (bottom - top) == pytest.approx(4 / 3, rel=0.05)
        boxes.append((top, left))
    assert boxes == sorted(boxes)
    assert len({top for top, _ in boxes}) == -(-count // (columns or default_columns(count)))


def test_cells_that_are_left_over_stay_empty():
    page = np.asarray(sheet([panel(colour) for colour in COLOURS[:4]], columns=3))
    cell_height, cell_width = cell_size(3, 4 / 3)
    second_row = page[MARGIN + cell_height + GAP :]
    assert (second_row[:, MARGIN + cell_width :] == 255).all()
    assert (second_row[:cell_height, MARGIN : MARGIN + cell_width] == COLOURS[3]).all()


def test_panels_of_different_shapes_keep_their_aspect_and_do_not_touch():
    shapes = [(30, 40), (90, 30), (10, 120), (1, 1)]
    page = sheet([panel(colour, *shape) for colour, shape in zip(COLOURS, shapes, strict=False)])
    boxes = []
    for colour, (height, width) in zip(COLOURS, shapes, strict=False):
        (top, left, bottom, right), filled = box_of(page, colour)
        assert filled
        assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.05)
        boxes.append((left, right))
    for (_, right), (left, _) in itertools.pairwise(boxes):
        assert left - right >= GAP


def test_a_very_tall_panel_does_not_make_an_endless_sheet():
    page = sheet([panel(COLOURS[0], 5000, 10)], columns=1)
    assert page.height < 2 * WIDTH


def test_titles_stay_within_their_cell():
    long = "a title that is far too long for its cell " * 5
    titled = np.asarray(
        sheet([panel(c, title=long) for c in COLOURS[:4]], title=long, lines=[long])
    )
    dark = titled.min(axis=(0, 2)) < 200
    assert not dark[:MARGIN].any()
    assert not dark[-MARGIN:].any()
    cell = cell_size(4, 4 / 3)[1]
    for column in range(3):
        start = MARGIN + column * (cell + GAP) + cell
        gap = titled[200:, start + 1 : start + GAP - 1]
        assert (gap == 255).all()


def test_a_title_adds_ink_above_the_panels_only():
    plain = np.asarray(sheet([panel(COLOURS[0])]))
    titled = np.asarray(sheet([panel(COLOURS[0])], title="chelsea.png", lines=["", "line"]))
    extra = titled.shape[0] - plain.shape[0]
    assert extra > 0
    np.testing.assert_array_equal(titled[-(plain.shape[0] - MARGIN) :], plain[MARGIN:])
    assert (titled[MARGIN : MARGIN + extra] < 100).any()


def test_sections_follow_each_other_with_their_titles():
    sections = [
        Section([panel(COLOURS[0])]),
        Section([panel(COLOURS[1])] * 4, "class attention 0"),
        Section([panel(COLOURS[2])] * 2, columns=2),
    ]
    page = sectioned_sheet(sections)
    boxes = [box_of(page, colour)[0] for colour in COLOURS[:3]]
    for above, below in itertools.pairwise(boxes):
        assert above[2] < below[0]
    between = np.asarray(page)[boxes[0][2] : boxes[1][0]]
    assert (between < 60).any()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(InputError, match="'head 3'"):
        Panel(image, "head 3")


def test_impossible_sheets_are_refused():
    with pytest.raises(InputError, match="at least one picture"):
        sheet([])
    for columns in (0, -1):
        with pytest.raises(UsageError, match="at least one column"):
            sheet([panel(COLOURS[0])], columns)
    with pytest.raises(UsageError, match="16 pixels"):
        sheet([panel(COLOURS[0])], columns=200)
    with pytest.raises(UsageError, match="16 pixels"):
        sheet([panel(COLOURS[0])], width=50)
