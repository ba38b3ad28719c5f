import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.render.comparison import comparison_sheet
from kerasvit.render.look import Look, chosen_patches
from kerasvit.render.sheet import WIDTH
from kerasvit.render.video.animation import animate, write_gif

GRID = (3, 5)
IMAGE = np.full((60, 100, 3), 128, np.uint8)
SEEN = np.full((24, 40, 3), 128, np.uint8)
GEOMETRY = Geometry((60, 100), (0, 0, 60, 100), (24, 40))


def hot(row, column):
    values = np.zeros(GRID, np.float32)
    values[row, column] = 1
    return values


def yellow(picture):
    red, _, blue = np.moveaxis(np.asarray(picture).astype(int), -1, 0)
    return red - blue > 60


@pytest.mark.parametrize("count", [1, 2, 5, 7, 11])
def test_each_method_has_its_own_hot_patch(count):
    places = [(index % 3, index % 5) for index in range(count)]
    maps = {f"map {index}": hot(*place) for index, place in enumerate(places)}
    looks = {name: Look(interpolation="nearest", style="heatmap") for name in maps}
    page = comparison_sheet(IMAGE, SEEN, maps, GEOMETRY, looks=looks, lines=["model"])
    assert page.width == WIDTH
    # Every map twice, over the photograph and alone, a fifteenth of a panel each, and the legend.
    from scipy import ndimage

    pieces, _ = ndimage.label(yellow(page)[:-80])
    large = [size for size in np.bincount(pieces.ravel())[1:] if size > 400]
    assert len(large) == 2 * count
    assert max(large) < 1.1 * min(large)


def test_columns_are_in_line():
    maps = {"a": hot(1, 2), "b": hot(1, 2)}
    looks = {name: Look(interpolation="nearest", style="heatmap") for name in maps}
    page = comparison_sheet(IMAGE, SEEN, maps, GEOMETRY, looks=looks)
    columns = yellow(page)[:-80].any(axis=0)
    starts = np.flatnonzero(np.diff(columns.astype(int)) == 1)
    assert len(starts) == 2


def test_wrong_maps_and_photographs_are_refused():
    with pytest.raises(InputError, match="rows, columns"):
        comparison_sheet(IMAGE, SEEN, {"a": np.zeros((1, 3, 5))}, GEOMETRY)
    with pytest.raises(InputError, match="photograph"):
        comparison_sheet(IMAGE[:9], SEEN, {"a": hot(0, 0)}, GEOMETRY)


def test_a_mask_is_of_the_mass_or_the_mask_itself():
    values = np.array([[5, 3, 1.5, 0.5, -9]])
    np.testing.assert_array_equal(chosen_patches(values, 0.8), [[1, 1, 0, 0, 0]])
    mask = np.array([[0, 1, 1, 1, 0]])
    np.testing.assert_array_equal(chosen_patches(mask, 0.2), mask)


def test_a_map_lies_in_its_place_at_any_size():
    geometry = Geometry((60, 100), (0, 20, 60, 80), (24, 24))
    values = np.zeros((3, 3), np.float32)
    values[0, 2] = 1
    look = Look(style="heatmap", interpolation="nearest")
    canvas = Canvas.at_size(IMAGE, geometry, (120, 200), "cividis")
    found = np.argwhere(yellow(look.overlay(canvas, values)))
    # The upper right of the box, which is 40 to 160 pixels from the left now.
    np.testing.assert_array_equal(found.min(axis=0), [0, 120])
    np.testing.assert_array_equal(found.max(axis=0), [39, 159])


def test_an_animation_shows_one_map_after_the_other(tmp_path):
    maps = {f"block {index}": hot(1, index) for index in range(5)}
    look = Look(style="heatmap", interpolation="nearest")
    frames = animate(IMAGE, maps, GEOMETRY, look, longest=500)
    path = tmp_path / "layers.gif"
    write_gif(path, frames, seconds=0.2, last_seconds=1)
    durations = []
    with Image.open(path) as gif:
        assert gif.n_frames == 5
        for index in range(5):
            gif.seek(index)
            gif.load()
            durations.append(gif.info["duration"])
            spot = np.argwhere(yellow(gif.convert("RGB"))[:300]).mean(axis=0)
            np.testing.assert_allclose(spot, [149.5, 100 * index + 49.5], atol=2)
    assert durations == [200] * 4 + [1000]
    with pytest.raises(InputError, match="at least one map"):
        animate(IMAGE, {}, GEOMETRY)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1)])
def test_photographs_of_any_shape_are_animated(size):
    image = np.zeros((*size, 3), np.uint8)
    (frame,) = animate(image, {"a": hot(0, 0)}, Geometry(size, (0, 0, *size), (24, 40)))
    assert max(frame.size) >= 560
