"""A map lands where its cells were taken from, whatever was resized, cropped or padded."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasvit.errors import UsageError
from kerasvit.images import Geometry, Preprocessing, resize_array

PATCH = (8, 8)
GRID = (3, 5)
HOT = (1, 2)


def preprocessing(image_size=(24, 40), **options):
    # The mean is black, so that the margins of "border" are.
    defaults = {"mean": (0.0,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear"}
    return Preprocessing(image_size, **{**defaults, **options})


METHODS = {
    "center": lambda image: preprocessing().evaluate(image),
    "center, no margin": lambda image: preprocessing(crop_fraction=1.0).evaluate(image),
    "squash": lambda image: preprocessing(crop_mode="squash").evaluate(image),
    "border": lambda image: preprocessing(crop_mode="border").evaluate(image),
    "border, no margin": lambda image: preprocessing(
        crop_mode="border", crop_fraction=1.0
    ).evaluate(image),
    "keep_aspect": lambda image: preprocessing().keep_aspect(image, 64, patch_size=PATCH),
    "exact": lambda image: preprocessing().exact(image, PATCH),
}


def hot_map(grid, cell):
    hot = np.zeros(grid, np.float32)
    hot[cell] = 1.0
    return hot


# ---- exact blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [(0, 0), (1, 2), (2, 4)])
def test_a_hot_cell_is_exactly_its_rectangle(cell):
    geometry = Geometry((30, 50), (0, 0, 30, 50), (24, 40))
    expected = np.zeros((30, 50), np.float32)
    expected[cell[0] * 10 : cell[0] * 10 + 10, cell[1] * 10 : cell[1] * 10 + 10] = 1.0
    placed = geometry.place(hot_map(GRID, cell), interpolation="nearest")
    np.testing.assert_array_equal(placed, expected)
    assert placed.dtype == np.float32


def test_at_another_size_rows_and_columns_are_scaled_each_by_its_own_ratio():
    shown = Geometry((30, 50), (3, 10, 27, 40), (24, 40)).at_size((60, 75))
    assert shown == Geometry((60, 75), (6, 15, 54, 60), (24, 40))


def test_a_hot_cell_of_a_crop_is_exactly_its_rectangle():
    # 48x100 to 24x50, and of that the middle 24x40: original columns 10 to 90.
    prepared = preprocessing(crop_fraction=1.0).evaluate(np.zeros((48, 100, 3), np.uint8))
    assert prepared.geometry.box == (0, 10, 48, 90)
    expected = np.zeros((48, 100), np.float32)
    expected[16:32, 10 + 32 : 10 + 48] = 1.0
    expected[:, :10] = expected[:, 90:] = -1.0
    placed = prepared.geometry.place(hot_map(GRID, HOT), outside=-1.0, interpolation="nearest")
    np.testing.assert_array_equal(placed, expected)


def test_a_hot_cell_of_a_padded_input_is_exactly_its_rectangle():
    # 48x40 to 24x20 between margins of 10 columns: cells of 8 columns begin 20 pixels left of it.
    prepare = preprocessing(crop_mode="border", crop_fraction=1.0)
    prepared = prepare.evaluate(np.zeros((48, 40, 3), np.uint8))
    assert prepared.geometry.box == (0, -20, 48, 60)
    expected = np.zeros((48, 40), np.float32)
    expected[16:32, 12:28] = 1.0
    placed = prepared.geometry.place(hot_map(GRID, HOT), interpolation="nearest")
    np.testing.assert_array_equal(placed, expected)


# ---- there and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("size", [(240, 400), (203, 611), (611, 203), (300, 451), (24, 40)])
def test_what_is_lit_through_a_cell_lights_that_cell(method, size):
    """Independent of the formula: paint a cell's block on the original, prepare it, look."""
    geometry = method(np.zeros((*size, 3), np.uint8)).geometry
    rows, columns = (side // patch for side, patch in zip(geometry.input_size, PATCH, strict=True))
    for cell in [(rows // 2, columns // 2), (rows // 3, columns // 2)]:
        block = geometry.place(hot_map((rows, columns), cell), outside=0, interpolation="nearest")
        assert block.any()
        painted = np.repeat((block * 255).astype(np.uint8)[..., None], 3, axis=-1)
        seen = method(painted).image[: rows * 8, : columns * 8, 0] / 255
        cells = seen.reshape(rows, 8, columns, 8).mean(axis=(1, 3))
        assert np.unravel_index(cells.argmax(), cells.shape) == cell
        assert cells[cell] > 0.8
        assert np.delete(cells.ravel(), cell[0] * columns + cell[1]).max() < 0.2


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(20, 90), st.integers(20, 90)),
    method=st.sampled_from(sorted(set(METHODS) - {"exact"})),
)
def test_a_position_on_the_input_is_that_position_on_the_original(size, method):
    """Ramps: prepare the original's coordinates, lay them back, get the coordinates."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    ramp = np.stack([rows * 2, columns * 2, rows * 0], -1).astype(np.uint8)
    prepared = METHODS[method](ramp)
    for axis, truth in enumerate((rows, columns)):
        back = prepared.geometry.place(prepared.image[..., axis].astype(np.float32) / 2)
        covered = np.isfinite(back)
        # The blur of the two resizings reaches a few input pixels in from the edge.
        reach = 3 * max(1, *(o / i for o, i in zip(size, prepared.image.shape, strict=False)))
        inner = covered & (np.minimum(rows, size[0] - 1 - rows) > reach)
        inner &= np.minimum(columns, size[1] - 1 - columns) > reach
        top, left, bottom, right = prepared.geometry.box
        inner &= (rows > top + reach) & (rows < bottom - 1 - reach)
        inner &= (columns > left + reach) & (columns < right - 1 - reach)
        assert np.abs(back - truth)[inner].max(initial=0) <= 0.6


def test_the_inverse_of_a_crop_is_exact():
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    cut = preprocessing().exact(image, (8, 16))
    for how in ("nearest", "bilinear", "bicubic"):
        placed = cut.geometry.place(cut.image[..., 0], interpolation=how)
        np.testing.assert_array_equal(placed[:32, :48], image[:32, :48, 0])
        assert np.isnan(placed[32:]).all()
        assert np.isnan(placed[:, 48:]).all()


def test_the_inverse_of_a_centre_crop_is_exact():
    image = np.random.default_rng(0).integers(0, 256, (24, 61, 3), np.uint8)
    prepared = preprocessing((24, 24), crop_fraction=1.0).evaluate(image)
    left = int(prepared.geometry.box[1])
    np.testing.assert_array_equal(prepared.image, image[:, left : left + 24])
    placed = prepared.geometry.place(prepared.image[..., 1])
    np.testing.assert_array_equal(placed[:, left : left + 24], image[:, left : left + 24, 1])
    assert np.isnan(placed).sum() == 24 * (61 - 24)


@pytest.mark.parametrize("how", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("grid", [(4, 3), (64, 48), (20, 96)])
def test_a_whole_picture_is_a_resize_of_the_map(grid, how):
    """Also where the picture is smaller than the map, so that hot pixels are not stepped over."""
    values = np.random.default_rng(0).random(grid, np.float32)
    placed = Geometry((21, 30), (0, 0, 21, 30), (64, 48)).place(values, interpolation=how)
    np.testing.assert_allclose(placed, resize_array(values, (21, 30), how), rtol=0, atol=1e-6)


# ---- shapes, range, record --------------------------------------------------------------------


@pytest.mark.parametrize("how", ["nearest", "bilinear", "bicubic"])
def test_leading_axes_and_range(how):
    maps = np.random.default_rng(0).random((2, 3, *GRID), np.float32)
    geometry = Geometry((33, 47), (2.5, -4.0, 30.25, 44.0), (24, 40))
    placed = geometry.place(maps, outside=0.0, interpolation=how)
    assert placed.shape == (2, 3, 33, 47)
    np.testing.assert_array_equal(
        placed[1, 2], geometry.place(maps[1, 2], outside=0.0, interpolation=how)
    )
    covered = placed[..., 2:30, :44]
    assert covered.min() >= maps.min()
    assert covered.max() <= maps.max()
    assert not placed[..., :2, :].any()
    assert not placed[..., 30:, :].any()
    assert not placed[..., 44:].any()


def test_the_record_is_plain_json():
    geometry = Geometry((np.int64(3), 5), (0, np.float64(0.5), 3, 4.5), (24, 40))
    record = geometry.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record == {
        "original_size": [3, 5],
        "box": [0.0, 0.5, 3.0, 4.5],
        "input_size": [24, 40],
    }


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (0, 5, 5, 4), (0, 0, np.nan, 5)])
def test_a_box_without_area_is_refused(box):
    with pytest.raises(UsageError, match="Received: box="):
        Geometry((5, 5), box, (5, 5))


def test_a_map_has_two_axes():
    with pytest.raises(UsageError, match=r"Received: shape=\(4,\)"):
        Geometry((5, 5), (0, 0, 5, 5), (5, 5)).place(np.zeros(4))
