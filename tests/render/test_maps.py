import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.layout import TokenLayout
from kerasvit.render.look import Look
from kerasvit.render.maps import draw_map, save_map
from kerasvit.saliency.result import SaliencyMap

LAYOUT = TokenLayout(("class",), (3, 5), (8, 8))
IMAGE = np.full((60, 120, 3), 128, np.uint8)
HEATMAP = Look("heatmap", interpolation="nearest")


def saliency(**fields):
    values = np.zeros((2, 3, 5), np.float32)
    values[0, 1, 2] = values[1, 0, 4] = 1
    return SaliencyMap(values, **{"method": "attention", "layout": LAYOUT, **fields})


def yellow(picture):
    red, _, blue = np.moveaxis(picture.astype(int), -1, 0)
    return np.argwhere(red - blue > 60)


def test_a_map_lies_on_the_photograph_that_its_geometry_names():
    geometry = Geometry((60, 120), (0, 10, 60, 110), (24, 40))
    hot = yellow(draw_map(IMAGE, saliency(geometries=(geometry,) * 2), look=HEATMAP))
    np.testing.assert_array_equal([hot.min(axis=0), hot.max(axis=0)], [[20, 50], [39, 69]])
    with pytest.raises(InputError, match="photograph"):
        draw_map(IMAGE[:30], saliency(geometries=(geometry,) * 2))


def test_without_a_geometry_it_covers_the_picture():
    hot = yellow(draw_map(IMAGE, saliency(), 1, look=HEATMAP))
    np.testing.assert_array_equal([hot.min(axis=0), hot.max(axis=0)], [[0, 96], [19, 119]])


def test_what_speaks_against_a_class_is_as_dark_as_nothing():
    values = np.zeros((1, 3, 5), np.float32)
    values[0, 0, 0], values[0, 2, 4] = 1, -3
    look = {"colormap": "gray", "look": None}
    signed = SaliencyMap(values, method="occlusion", layout=LAYOUT)
    drawn = draw_map(IMAGE, signed, **look)
    np.testing.assert_array_equal(drawn[-1, -1], drawn[30, 60])
    assert drawn[0, 0, 0] > drawn[30, 60, 0]


def test_picture_and_numbers_are_saved_together(tmp_path):
    found = saliency()
    files = save_map(tmp_path / "a.png", IMAGE, found, 1)
    assert [file.name for file in files] == ["a.png", "a.npz"]
    with Image.open(files[0]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), draw_map(IMAGE, found, 1))
    np.testing.assert_array_equal(SaliencyMap.load_npz(files[1]).values, found.values[1:])
    with pytest.raises(OutputError, match="exists"):
        save_map(tmp_path / "a.png", IMAGE, found)


def test_heads_must_be_combined_and_images_exist():
    heads = SaliencyMap(np.ones((1, 2, 3, 5)), method="attention", layout=LAYOUT, heads="all")
    with pytest.raises(UsageError, match="fuse"):
        draw_map(IMAGE, heads)
    with pytest.raises(UsageError, match="no such image"):
        draw_map(IMAGE, saliency(), 2)
