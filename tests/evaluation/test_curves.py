import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.evaluation.curves import (
    Curve,
    insertion_deletion,
    perturbation_curves,
    pixel_ranks,
    replaced_outputs,
)
from kerasvit.evaluation.infidelity import hide_patches, infidelity
from kerasvit.saliency.targets import Objective

GRID = (4, 6)
CLASSES = Objective(np.eye(4, dtype=np.float32), (0, 1, 2, 3))


def test_the_area_is_the_mean_height():
    curve = Curve(np.array([0.1, 0.5, 0.9]), np.array([[1.0, 1, 1], [1, 0, 1], [0, 0, 1]]))
    np.testing.assert_allclose(curve.areas, [1, 0.5, 0.25])
    np.testing.assert_allclose(curve.mean, [2 / 3, 1 / 3, 1])
    uneven = Curve(np.array([0.0, 0.1, 1.0]), np.array([[1.0, 0, 0]]))
    np.testing.assert_allclose(uneven.areas, [0.05])


def test_ranks_sort_the_pixels_of_each_map():
    maps = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    ranks = pixel_ranks(maps, (4, 6))
    for rank, values in zip(ranks, maps, strict=True):
        assert sorted(rank.ravel()) == list(range(24))
        ordered = values.ravel()[np.argsort(rank.ravel())]
        assert (np.diff(ordered) <= 0).all()
    rising = pixel_ranks(maps, (4, 6), descending=False)
    np.testing.assert_array_equal(rising, 23 - ranks)
    flat = pixel_ranks(np.zeros((1, 2, 2)), (4, 4))
    np.testing.assert_array_equal(flat.ravel(), np.arange(16))
    with pytest.raises(InputError, match="finite"):
        pixel_ranks(maps * np.nan, (4, 6))


def test_so_many_pixels_are_replaced_as_asked_for(corners):
    ranks = pixel_ranks(corners.maps, (16, 24))
    ones, zeros = np.ones_like(corners.pixels), np.zeros_like(corners.pixels)
    outputs = replaced_outputs(corners.model, zeros, ones, ranks, (0, 0.25, 0.5, 1), 3)
    assert outputs.shape == (4, 4, 4)
    # The light of a picture, which is the mean of its quarters, is the share that is replaced.
    np.testing.assert_allclose(outputs.mean(axis=2), [[0] * 4, [0.25] * 4, [0.5] * 4, [1] * 4])


def test_a_right_map_is_better_than_a_wrong_one_on_every_curve(corners):
    wrong = corners.maps[::-1].copy()
    arguments = (corners.model, corners.pixels)
    right_curves = perturbation_curves(*arguments, corners.maps, CLASSES, "mean")
    wrong_curves = perturbation_curves(*arguments, wrong, CLASSES, "mean")
    right_steps = insertion_deletion(*arguments, corners.maps, CLASSES)
    wrong_steps = insertion_deletion(*arguments, wrong, CLASSES)
    # A picture that is all dark counts as the first class, so that one is left out.
    assert (right_curves["positive"].areas < wrong_curves["positive"].areas)[1:].all()
    assert (right_curves["negative"].areas > wrong_curves["negative"].areas)[1:].all()
    names = "positive_confidence", "negative_confidence"
    low, high = (right_curves[name].areas - wrong_curves[name].areas for name in names)
    assert (low < 0).all()
    assert (high > 0).all()
    assert (right_steps["deletion"].areas < wrong_steps["deletion"].areas).all()
    assert (right_steps["insertion"].areas > wrong_steps["insertion"].areas).all()
    # The light quarter goes last: with three quarters dark the class is still the same.
    assert right_curves["negative"].values[:, :7].all()


def test_infidelity_is_zero_for_what_each_patch_adds(corners):
    # The logit of a class is the mean light of its quarter, 6 patches of light 4.
    exact = corners.maps * 4 / 6
    hidden = hide_patches(corners.model, corners.pixels, GRID, CLASSES)
    np.testing.assert_allclose(infidelity(exact, hidden), 0, atol=1e-10)
    np.testing.assert_allclose(infidelity(7 * exact, hidden), 0, atol=1e-10)
    np.testing.assert_allclose(infidelity(-exact, hidden), 1)
    np.testing.assert_allclose(infidelity(0 * exact, hidden), 1)
    noisy = exact + np.random.default_rng(0).normal(0, 0.2, exact.shape)
    found = infidelity(noisy, hidden)
    assert (found > 0.01).all()
    assert (found < 1).all()
