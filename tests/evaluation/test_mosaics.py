import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.evaluation.evaluate import evaluate_saliency
from kerasvit.evaluation.mosaics import make_mosaics, shares_in_cell

PIXELS = np.broadcast_to(np.arange(6, dtype=np.float32)[:, None, None, None], (6, 8, 12, 3))


def test_mosaics_hold_pictures_of_different_classes_row_by_row():
    classes = [3, 1, 3, 0, 2, 2]
    found = make_mosaics(PIXELS, classes, 20, seed=4)
    assert found.pixels.shape == (20, 8, 12, 3)
    for picture, members in zip(found.pixels, found.members, strict=True):
        assert len({classes[index] for index in members}) == 4
        for cell, index in enumerate(members):
            row, column = divmod(cell, 2)
            part = picture[4 * row : 4 * row + 4, 6 * column : 6 * column + 6]
            np.testing.assert_allclose(part, index)
    again = make_mosaics(PIXELS, classes, 20, seed=4)
    np.testing.assert_array_equal(again.members, found.members)
    assert len(np.unique(found.members)) == 6


@pytest.mark.parametrize(
    ("pixels", "classes"), [(PIXELS, [0, 0, 1, 1, 2, 2]), (PIXELS[:, :7], range(6))]
)
def test_too_few_classes_and_odd_sizes_are_refused(pixels, classes):
    with pytest.raises(InputError, match="4 pictures"):
        make_mosaics(pixels, list(classes), 3)


@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (1, 3)])
def test_a_map_of_one_value_has_a_quarter_in_each_cell(shape):
    maps = np.ones((4, *shape), np.float32)
    np.testing.assert_allclose(shares_in_cell(maps, range(4), 2), 0.25, rtol=1e-6)


def test_shares_count_positive_values_alone():
    maps = np.zeros((3, 4, 6), np.float32)
    maps[0, 0, 5], maps[0, 3, 5] = 3, 1
    maps[1, 0, 5], maps[1, 3, 0] = 2, -8
    np.testing.assert_allclose(shares_in_cell(maps, [1, 1, 1], 2), [0.75, 1, 0.25])


def test_without_classes_the_feature_of_each_picture_is_sought(colours):
    found = evaluate_saliency(
        colours.model, colours.pixels, ["occlusion"], ["grid_pointing"], mosaics=3
    )
    grid = found["methods"]["occlusion"]["grid_pointing"]
    # What is most like a picture in a mosaic is that picture, and nothing else in it.
    assert grid == {"share": pytest.approx(1), "pointing": pytest.approx(1), "mosaics": 3}
