import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.evaluation.masks import objects_of
from kerasvit.evaluation.segmentation import (
    SegmentationScore,
    average_precision,
    dino_jaccard,
    jaccard,
)

RNG = np.random.default_rng(0)


def test_a_map_equal_to_the_mask_is_perfect_and_its_opposite_is_nothing():
    mask = RNG.random((9, 14)) < 0.3
    perfect, opposite = SegmentationScore(), SegmentationScore()
    perfect.add(mask.astype(np.float32), mask)
    opposite.add(1 - mask.astype(np.float32), mask)
    assert perfect.result() == {"pixel_accuracy": 1, "miou": 1, "map": 1, "n": 1}
    assert opposite.result()["pixel_accuracy"] == 0
    assert opposite.result()["miou"] == 0
    assert opposite.result()["map"] < 0.6


def test_intersections_add_up_over_the_pictures():
    score, counts = SegmentationScore(), np.zeros((2, 2))
    for _ in range(3):
        values, mask = RNG.random((5, 8)), RNG.random((5, 8)) < 0.5
        score.add(values, mask)
        found = values > values.mean()
        for part in (0, 1):
            counts[part] += [
                ((found == part) & (mask == part)).sum(),
                ((found == part) | (mask == part)).sum(),
            ]
    result = score.result()
    assert result["miou"] == pytest.approx((counts[:, 0] / counts[:, 1]).mean())
    assert result["pixel_accuracy"] == pytest.approx(counts[:, 0].sum() / 120)
    assert result["n"] == 3


def test_pixels_outside_the_input_are_left_out():
    mask = np.zeros((4, 6), bool)
    mask[:, 3:] = True
    values = mask.astype(np.float32)
    values[0] = np.nan
    values[1] = 1 - values[1]
    score = SegmentationScore()
    score.add(values, mask)
    assert score.result()["pixel_accuracy"] == pytest.approx(12 / 18)


@pytest.mark.parametrize("decimals", [1, 8])
def test_average_precision_equals_scikit_learn(decimals):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    scores, wanted = RNG.random(200).round(decimals), RNG.random(200) < 0.3
    expected = metrics.average_precision_score(wanted, scores)
    assert average_precision(scores, wanted) == pytest.approx(expected, abs=1e-12)


def test_average_precision_by_hand():
    wanted = np.array([True, False, True, False])
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), wanted) == pytest.approx(5 / 6)
    # Equal scores are one step, whatever their order.
    assert average_precision(np.full(4, 0.5), wanted) == pytest.approx(0.5)
    assert average_precision(np.ones(4), np.zeros(4, bool)) == 0


def test_dinos_index_takes_the_best_head_for_each_object():
    objects = [np.zeros((4, 6), bool) for _ in range(2)]
    objects[0][0, :4], objects[1][2:, 0] = True, True
    half = np.zeros((4, 6), bool)
    half[0, :2] = True
    found = dino_jaccard(np.stack([half, objects[1], ~half]), objects)
    assert found == pytest.approx((0.5 + 1) / 2)
    assert jaccard(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 0
    with pytest.raises(InputError, match="needs objects"):
        dino_jaccard(half[None], [])


def test_labels_name_objects_and_leave_out_void():
    labels = np.array([[0, 0, 7], [255, 2, 7]], np.uint8)
    first, second = objects_of(labels)
    np.testing.assert_array_equal(first, labels == 2)
    np.testing.assert_array_equal(second, labels == 7)
    for wrong in (labels * 0, np.zeros((2, 3, 3))):
        with pytest.raises(InputError):
            objects_of(wrong)


def test_maps_and_masks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="Place the map first"):
        SegmentationScore().add(np.ones((2, 3)), np.ones((3, 2), bool))
    with pytest.raises(InputError, match="NaN alone"):
        SegmentationScore().add(np.full((2, 3), np.nan), np.ones((2, 3), bool))
    with pytest.raises(InputError, match="none"):
        SegmentationScore().result()
