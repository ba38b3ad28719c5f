import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.colour import colourise
from kerasvit.render.overlay import FADED, STYLES, overlay


@pytest.fixture
def photograph():
    return np.random.default_rng(0).integers(30, 225, (60, 100, 3), dtype=np.uint8)


def smooth_map(shape, seed=1):
    coarse = np.random.default_rng(seed).uniform(size=(4, 6)).astype(np.float32)
    return Geometry(shape, (0, 0, *shape), shape).place(coarse)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_gives_a_picture_of_the_same_size_and_touches_neither_input(photograph, style):
    values = smooth_map((60, 100))
    values = (values > 0.5).astype(np.float32) if style == "mask" else values
    before = photograph.copy(), values.copy()
    drawn = overlay(photograph, values, style=style)
    assert drawn.dtype == np.uint8
    assert drawn.shape == photograph.shape
    np.testing.assert_array_equal(photograph, before[0])
    np.testing.assert_array_equal(values, before[1])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_input_gives_the_mirrored_picture(photograph, style, axis):
    values = smooth_map((60, 100))
    values[:, :7] = np.nan
    if style == "mask":
        values = np.where(np.isnan(values), np.nan, values > 0.5)
    drawn = overlay(photograph, values, style=style)
    mirrored = overlay(np.flip(photograph, axis), np.flip(values, axis), style=style)
    np.testing.assert_array_equal(mirrored, np.flip(drawn, axis))


def saturation(image):
    return image.max(axis=-1).astype(int) - image.min(axis=-1)


@pytest.mark.parametrize("style", STYLES)
def test_outside_the_crop_the_photograph_is_grey_and_darker(photograph, style):
    values = np.ones((60, 100), np.float32)
    values[:, :20] = np.nan
    drawn = overlay(photograph, values, style=style)[:, :20]
    original = photograph[:, :20]
    assert saturation(drawn).max() == 0
    assert (drawn <= original.max(axis=-1, keepdims=True)).all()
    grey = original @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(grey.ravel(), drawn[..., 0].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("grid", [(3, 5), (5, 3)])
@pytest.mark.parametrize("style", ["fade", "blend", "modulate", "heatmap"])
def test_a_hot_patch_at_row_1_column_2_shows_there(grid, style):
    image = np.full((grid[0] * 20, grid[1] * 20, 3), 230, np.uint8)
    patches = np.zeros(grid, np.float32)
    patches[1, 2] = 1
    size = image.shape[:2]
    values = Geometry(size, (0, 0, *size), size).place(patches, interpolation="nearest")
    drawn = overlay(image, values, style=style).astype(int)
    # Yellow: much more red than blue.
    hot = np.argwhere(drawn[..., 0] - drawn[..., 2] > 40)
    assert hot.min(axis=0).tolist() == [20, 40]
    assert hot.max(axis=0).tolist() == [39, 59]
    assert len(hot) == 400


def test_alpha_0_is_the_photograph_and_more_alpha_shows_more_of_the_map(photograph):
    values = smooth_map((60, 100))
    np.testing.assert_array_equal(overlay(photograph, values, alpha=0), photograph)
    colours = colourise(values).astype(float)
    distances = [
        np.abs(overlay(photograph, values, alpha=alpha) - colours).mean() for alpha in (0, 0.5, 1)
    ]
    assert distances[0] > distances[1] > distances[2]


def test_the_photograph_stays_visible_under_a_full_map(photograph):
    drawn = overlay(photograph, np.ones((60, 100), np.float32))
    grey = photograph @ np.array([0.299, 0.587, 0.114])
    drawn_grey = drawn @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(grey.ravel(), drawn_grey.ravel())[0, 1] > 0.9


def test_faded_maps_leave_the_photograph_where_they_are_low_and_cover_more_the_higher(photograph):
    values = smooth_map((60, 100))
    drawn = overlay(photograph, values)
    low = values <= FADED
    assert low.any()
    np.testing.assert_array_equal(drawn[low], photograph[low])
    colours = np.full((60, 100, 3), 120, np.uint8)
    changes = [
        np.abs(overlay(colours, np.full((60, 100), level, np.float32)).astype(int) - 120).mean()
        for level in (0, FADED, 0.6, 1)
    ]
    assert changes[0] == changes[1] == 0 < changes[2]
    # Grey photographs show it best: the middle of cividis is grey itself.
    assert changes[3] > changes[2]


def test_modulate_is_the_grey_photograph_times_the_map(photograph):
    values = smooth_map((60, 100))
    grey = photograph.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    expected = colourise(values * grey)
    np.testing.assert_array_equal(overlay(photograph, values, style="modulate"), expected)


def test_heatmap_is_the_map_alone(photograph):
    values = smooth_map((60, 100))
    drawn = overlay(photograph, values, "inferno", style="heatmap")
    np.testing.assert_array_equal(drawn, colourise(values, "inferno"))


def test_mask_keeps_the_chosen_part_and_outlines_it(photograph):
    mask = np.zeros((60, 100), bool)
    mask[20:40, 30:70] = True
    drawn = overlay(photograph, mask, style="mask")
    np.testing.assert_array_equal(drawn[mask], photograph[mask])
    outline = colourise(np.float32(1))
    changed = (drawn == outline).all(axis=-1)
    assert changed[19, 30:70].all()
    assert changed[40, 30:70].all()
    assert changed[20:40, 29].all()
    assert changed[20:40, 70].all()
    assert not changed[:18].any()
    assert drawn[:18].mean() < photograph[:18].mean()
    np.testing.assert_array_equal(drawn, overlay(photograph, mask.astype(float), style="mask"))


def test_an_empty_and_a_full_mask_are_drawn_without_an_outline(photograph):
    full = overlay(photograph, np.ones((60, 100), bool), style="mask")
    np.testing.assert_array_equal(full, photograph)
    empty = overlay(photograph, np.zeros((60, 100), bool), style="mask")
    assert not (empty == colourise(np.float32(1))).all(axis=-1).any()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_photographs_and_one_pixel_are_no_trouble(style, level):
    for shape in ((1, 1), (1, 50), (3, 2)):
        image = np.full((*shape, 3), level, np.uint8)
        values = np.zeros(shape, np.float32)
        values[0, 0] = 1
        assert overlay(image, values, style=style).shape == image.shape
        assert overlay(image, np.full(shape, np.nan), style=style).shape == image.shape


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"style": "jet"}, UsageError),
        ({"alpha": 1.5}, UsageError),
        ({"alpha": -0.1}, UsageError),
        ({"colormap": "none"}, UsageError),
        ({"values": np.zeros((100, 60))}, InputError),
        ({"values": np.full((60, 100), 2.0)}, InputError),
        ({"values": np.full((60, 100), -1.0), "style": "mask"}, InputError),
        ({"values": np.full((60, 100), 0.5), "style": "mask"}, InputError),
        ({"image": np.zeros((60, 100, 3))}, InputError),
        ({"image": np.zeros((60, 100), np.uint8)}, InputError),
        ({"image": np.zeros((60, 100, 4), np.uint8)}, InputError),
    ],
)
def test_wrong_arguments_are_refused(photograph, arguments, error):
    arguments = {"image": photograph, "values": np.zeros((60, 100)), **arguments}
    with pytest.raises(error, match="Received"):
        overlay(**arguments)
