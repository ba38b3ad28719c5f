"""Sheets of features: what is drawn where, in the pixels themselves."""

import dataclasses
import io

import numpy as np
import pytest
from feature_pictures import make_features
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.features import Matches, pca, similarity
from kerasvit.render import match_sheet, patch_similarity_sheet, pca_sheet
from kerasvit.render.drawing import Drawing, Line, Photo, Words
from kerasvit.render.features.matches import match_drawing
from kerasvit.render.features.sheets import pca_drawing, scale, shared_range, similarity_drawing
from kerasvit.render.figures import write_figure


@pytest.fixture
def pictures():
    random = np.random.default_rng(0)
    return [
        make_features(random.normal(size=(*grid, 6)), name=name)
        for grid, name in (((3, 5), "one"), ((6, 4), "two"))
    ]


def photos(drawing):
    return [mark.image for mark in drawing.marks if isinstance(mark, Photo)]


def words(drawing):
    return " | ".join(mark.text for mark in drawing.marks if isinstance(mark, Words))


def test_components_lie_on_their_photographs(pictures):
    result = pca(pictures)
    drawing = pca_drawing(pictures, result, title="A title")
    assert "A title" in words(drawing)
    assert "first component of 2 pictures" in words(drawing)
    colours = photos(drawing)[2::3]
    for shown, own in zip(colours, result.colours, strict=True):
        height, width = shown.shape[:2]
        rows, columns = own.shape[:2]
        for row in range(rows):
            for column in range(columns):
                y, x = ((2 * row + 1) * height // (2 * rows), (2 * column + 1) * width)
                pixel = shown[y, x // (2 * columns)]
                if np.isnan(own[row, column, 0]):
                    assert (pixel == 36).all()  # The photograph's grey, dark.
                else:
                    np.testing.assert_allclose(pixel, 255 * own[row, column], atol=0.51)
    assert pca_sheet(pictures, result).size[0] == 1760


def test_likeness_has_one_range_for_all_pictures(pictures):
    maps = similarity(pictures, (1, 2))
    low, high = shared_range(maps, (1, 2), 0)
    every = np.concatenate([own.reshape(-1) for own in maps])
    assert (low, high) == (every.min(), np.sort(every)[-2])
    drawing = similarity_drawing(pictures, maps, (1, 2))
    assert "patch in row 1, column 2 of one" in words(drawing)
    assert f"cosine {low:.2f} to {high:.2f} in all pictures" in words(drawing)
    framed = [(image == 255).all(axis=-1).any() for image in photos(drawing)[:-1]]
    assert framed[0]
    assert not framed[3]
    assert patch_similarity_sheet(pictures, maps, (1, 2)).size[0] == 1760
    assert (scale(np.zeros((2, 2)), 0.5, 0.5) == 1).all()


def test_lines_go_from_patch_to_patch(pictures):
    matches = Matches(np.array([[0, 0], [2, 4]]), np.array([[5, 3], [0, 0]]), np.array([0.9, 0.4]))
    drawing = match_drawing(*pictures, matches)
    assert "2 pairs" in words(drawing)
    boxes = [mark.box for mark in drawing.marks if isinstance(mark, Photo)]
    lines = [mark for mark in drawing.marks if isinstance(mark, Line) and mark.start != mark.stop]

    def centre(box, grid, place):
        left, top, right, bottom = box
        return (
            left + (right - left) * (place[1] + 0.5) / grid[1],
            top + (bottom - top) * (place[0] + 0.5) / grid[0],
        )

    for line, number in zip(lines, (1, 1, 0, 0), strict=True):  # The most alike on top.
        start = centre(boxes[0], (3, 5), matches.first[number])
        np.testing.assert_allclose(line.start, start, atol=1)
        stop = centre(boxes[1], (6, 4), matches.second[number])
        np.testing.assert_allclose(line.stop, stop, atol=1)
    image = np.asarray(match_sheet(*pictures, matches))
    x, y = np.round(np.add(lines[-1].start, lines[-1].stop) / 2).astype(int)
    assert (abs(image[y, x].astype(int) - lines[-1].colour) < 60).all()
    none = Matches(*(np.zeros((0, 2), int),) * 2, np.zeros(0))
    assert "no two patches" in words(match_drawing(*pictures, none))


def test_a_picture_without_its_photograph_is_not_drawn(pictures):
    bare = dataclasses.replace(pictures[1], image=None)
    with pytest.raises(InputError, match="photograph of each picture"):
        pca_sheet([pictures[0], bare], pca(pictures))


@pytest.mark.parametrize("resolution", [1, 2.5])
def test_lines_are_as_long_and_thick_as_they_say(resolution):
    page = Drawing(60, 40)
    page.connect((10, 10), (50, 10), 4, (200, 0, 0))
    page.connect((30, 30), (30, 30), 8, (0, 0, 200))
    page.connect((-30, 20), (-10, 20), 4, (0, 0, 0))  # Off the page.
    image = np.asarray(page.image(resolution)).astype(float)
    red = ((255 - image[..., 1]) / 255)[: round(20 * resolution)].sum() / resolution**2
    assert red == pytest.approx(40 * 4 + np.pi * 2**2, rel=0.02)
    blue = ((255 - image[..., 0]) / 255)[round(25 * resolution) :].sum() / resolution**2
    assert blue == pytest.approx(np.pi * 4**2, rel=0.05)
    assert (image[round(18 * resolution) : round(22 * resolution)] == 255).all()


def test_lines_are_in_every_format(pictures, tmp_path):
    matches = Matches(np.array([[0, 0]]), np.array([[5, 3]]), np.array([0.9]))
    drawing = match_drawing(*pictures, matches)
    for kind in ("pdf", "svg"):
        write_figure(tmp_path / f"x.{kind}", drawing, kind)
    svg = (tmp_path / "x.svg").read_text()
    assert "stroke-opacity: 0.9" in svg
    write_figure(tmp_path / "x.png", drawing, "png")
    assert Image.open(io.BytesIO((tmp_path / "x.png").read_bytes())).size == (1760, drawing.height)
