import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.layer_sheet import layer_sheet
from kerasvit.render.sheet import GAP, MARGIN, WIDTH

KEYS = ("sa_ffn_block_00_att", "sa_ffn_block_01_att")


def whole(size):
    return Geometry(size, (0, 0, *size), size)


def is_yellow(page):
    red, green, blue = (np.asarray(page).astype(int)[..., i] for i in range(3))
    return (red > 200) & (green > 180) & (blue < 120)


@pytest.mark.parametrize(("heads", "layers_a_row"), [(1, 2), (3, 2), (6, 1), (12, 1)])
def test_each_head_has_its_own_column_and_layers_stay_whole(heads, layers_a_row):
    """The hot patch of layer l and head h goes to its panel, and nothing else changes."""
    picture, average = np.full((60, 100, 3), 30, np.uint8), np.zeros((1, 3, 5))
    count = heads * layers_a_row
    cell = (WIDTH - 2 * MARGIN - GAP * (count - 1)) // count
    cold = {key: np.zeros((1, heads, 3, 5), np.float32) for key in KEYS}

    def page(maps):
        return np.asarray(layer_sheet([picture], maps, [whole((60, 100))], average=average))

    tops = []
    for layer, key in enumerate(KEYS):
        head = (heads - 1) * layer
        hot = {**cold, key: cold[key].copy()}
        hot[key][0, head, 1, 2] = 1
        rows, columns = (page(hot) != page(cold)).any(axis=-1).nonzero()
        column = head + heads * (layer % layers_a_row)
        left = MARGIN + column * (cell + GAP) + cell * 2 // 5
        assert abs(columns.min() - left) <= 2
        assert abs(columns.max() - (left + cell // 5)) <= 2
        assert is_yellow(page(hot))[rows, columns].mean() > 0.9
        tops.append(rows.min())
    assert (tops[1] - tops[0] > cell * 3 // 5) == (layers_a_row == 1)


def test_the_average_is_that_of_all_layers_and_heads():
    picture = np.zeros((30, 50, 3), np.uint8)
    maps = {key: np.zeros((1, 2, 3, 5), np.float32) for key in KEYS}
    maps[KEYS[0]][0, 0, 0, 0] = 1
    maps[KEYS[1]][0, :, 2, 4] = 0.6
    own = layer_sheet([picture], maps, [whole((30, 50))])
    average = np.zeros((1, 3, 5), np.float32)
    average[0, 0, 0], average[0, 2, 4] = 0.25, 0.3
    given = layer_sheet([picture], maps, [whole((30, 50))], average=average)
    np.testing.assert_array_equal(np.asarray(own), np.asarray(given))


def test_every_picture_has_its_own_part():
    pictures = [np.full((30, 50, 3), shade, np.uint8) for shade in (10, 200)]
    maps = {key: np.random.default_rng(0).random((2, 3, 3, 5)).astype(np.float32) for key in KEYS}
    places = [whole((30, 50))] * 2
    both = layer_sheet(pictures, maps, places)
    one = layer_sheet(pictures[:1], {key: each[:1] for key, each in maps.items()}, places[:1])
    assert both.height > 1.8 * (one.height - 2 * MARGIN)


def test_a_shared_scale_shows_which_layer_says_most():
    picture = np.zeros((30, 50, 3), np.uint8)
    maps = {key: np.zeros((1, 3, 3, 5), np.float32) for key in KEYS}
    maps[KEYS[0]][..., 1, 2], maps[KEYS[1]][..., 1, 2] = 0.1, 1
    yellow = [
        is_yellow(layer_sheet([picture], maps, [whole((30, 50))], scale=scale)).sum()
        for scale in ("panel", "shared")
    ]
    assert yellow[1] < 0.8 * yellow[0]


def test_another_method_has_the_first_row_alone():
    picture, average = np.zeros((30, 50, 3), np.uint8), np.random.default_rng(0).random((1, 3, 5))
    page = layer_sheet([picture], {}, [whole((30, 50))], average=average, average_title="rollout")
    assert page.width == WIDTH


def test_what_does_not_fit_is_named():
    picture, place = np.zeros((30, 50, 3), np.uint8), whole((30, 50))
    good = np.zeros((1, 3, 3, 5), np.float32)
    wrong = [
        ([], {"a_0": good}, []),
        ([picture], {"a_0": good}, []),
        ([picture], {"a_0": good[0]}, [place]),
        ([picture], {"a_0": good, "a_1": good[:, :2]}, [place]),
        ([picture], {}, [place]),
    ]
    for arguments in wrong:
        with pytest.raises(InputError, match="sheet of layers"):
            layer_sheet(*arguments)
    with pytest.raises(UsageError, match="scale"):
        layer_sheet([picture], {"a_0": good}, [place], scale="none")
