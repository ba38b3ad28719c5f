import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import strategies

from kerasvit.errors import InputError, UsageError
from kerasvit.saliency.normalise import METHODS, clip_brightest, normalise

MAPS = hypothesis.extra.numpy.arrays(
    np.float32, (2, 3, 5), elements=strategies.floats(-(2.0**100), 2.0**100, width=32)
)


@hypothesis.settings(derandomize=True, max_examples=200, deadline=None)
@hypothesis.given(maps=MAPS, method=strategies.sampled_from(["minmax", "max", "percentile"]))
def test_values_stay_within_0_and_1_and_are_finite(maps, method):
    values, flat = normalise(maps, method)
    assert values.dtype == np.float32
    assert values.shape == maps.shape
    assert flat.shape == (2, 1, 1)
    assert (values >= 0).all()
    assert (values <= 1).all()


def test_minmax_reaches_both_ends_and_keeps_the_order():
    maps = np.random.default_rng(0).normal(size=(2, 4, 3, 5))
    values, flat = normalise(maps)
    assert (values.min(axis=(-2, -1)) == 0).all()
    assert (values.max(axis=(-2, -1)) == 1).all()
    assert not flat.any()
    for before, after in zip(maps.reshape(8, -1), values.reshape(8, -1), strict=True):
        np.testing.assert_array_equal(np.argsort(before), np.argsort(after))


def test_max_keeps_zero_and_sum_makes_a_distribution():
    maps = np.array([[[0.0, 1.0], [2.0, 4.0]]])
    np.testing.assert_allclose(normalise(maps, "max").values, maps / 4)
    np.testing.assert_allclose(normalise(maps, "sum").values, maps / 7)
    signed = maps - 1
    np.testing.assert_allclose(normalise(signed, "max").values, np.maximum(signed, 0) / 3)
    np.testing.assert_allclose(normalise(signed, "sum").values.sum(), 1)
    np.testing.assert_allclose(normalise(signed, None).values, signed)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 0.3, -2.0, 1e30])
def test_a_flat_map_is_flagged_and_never_stretched(method, level):
    maps = np.full((2, 3, 5), level)
    maps[1, 1, 2] += 1 + abs(level)
    values, flat = normalise(maps, method)
    assert flat.ravel().tolist() == [True, False]
    assert np.isfinite(values).all()
    if method == "sum":
        assert values[0].sum() == pytest.approx(1 if level > 0 else 0)
    elif method is not None:
        assert (values[0] == 0).all()


def test_rounding_errors_of_a_softmax_count_as_flat():
    maps = np.full((1, 3, 5), 1 / 15, np.float32)
    maps[0, 0, 0] = np.nextafter(maps[0, 0, 0], np.float32(1))
    values, flat = normalise(maps)
    assert flat.all()
    assert (values == 0).all()


def test_percentile_ignores_one_outlier():
    maps = np.linspace(0, 1, 400).reshape(1, 20, 20)
    maps[0, 0, 0] = 1000
    assert normalise(maps).values[0, -1, -1] < 0.01
    assert normalise(maps, "percentile").values[0, -1, -1] > 0.99


def test_the_ends_of_the_percentiles_are_the_smallest_and_the_largest_value():
    maps = np.arange(15.0).reshape(1, 3, 5)
    np.testing.assert_allclose(
        normalise(maps, "percentile", percentiles=(0, 100)).values, maps / 14, rtol=1e-6
    )


def test_percentile_still_shows_a_single_hot_patch():
    maps = np.zeros((1, 14, 14))
    maps[0, 1, 2] = 1
    np.testing.assert_array_equal(normalise(maps, "percentile").values, maps)


def test_a_shared_scale_keeps_the_heads_comparable():
    maps = np.stack([np.linspace(0, 1, 15), np.linspace(0, 4, 15)]).reshape(1, 2, 3, 5)
    alone = normalise(maps).values
    shared, flat = normalise(maps, axes=(-3, -2, -1))
    np.testing.assert_allclose(alone[0, 0], alone[0, 1], atol=1e-7)
    np.testing.assert_allclose(shared, maps / 4, atol=1e-7)
    assert flat.shape == (1, 1, 1, 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_maps_that_are_not_finite_are_refused(method, bad):
    maps = np.zeros((2, 3, 5))
    maps[1, 1, 2] = bad
    with pytest.raises(InputError, match="finite"):
        normalise(maps, method)


def test_unknown_arguments_are_refused():
    with pytest.raises(UsageError, match="'minmax'"):
        normalise(np.zeros((3, 5)), "zscore")
    for percentiles in ((99, 1), (-1, 50), (50, 50), (0, 101)):
        with pytest.raises(UsageError, match="percentiles"):
            normalise(np.zeros((3, 5)), "percentile", percentiles=percentiles)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (14, 14), (37, 55)])
def test_one_percent_of_the_patches_that_outshines_the_rest_is_cut_to_it(rows, columns):
    maps = np.random.default_rng(0).uniform(0.5, 1, (3, rows, columns)).astype(np.float32)
    brightest = -(-rows * columns // 100)
    bright = maps.copy()
    bright[1].flat[:brightest] = 30
    values, clipped = clip_brightest(bright)
    assert clipped.ravel().tolist() == [False, True, False]
    np.testing.assert_array_equal(values[[0, 2]], bright[[0, 2]])
    assert values[1].max() == maps[1].flat[brightest:].max()
    np.testing.assert_array_equal(values[1].flat[brightest:], bright[1].flat[brightest:])
    assert values.dtype == bright.dtype


def test_what_is_nothing_but_its_brightest_patches_is_left_alone():
    hot = np.zeros((4, 4))
    hot[1, 2] = 1
    for maps in (hot, np.ones((4, 4)), np.zeros((1, 1)), np.full((1, 2), 3.0)):
        values, clipped = clip_brightest(maps)
        np.testing.assert_array_equal(values, maps)
        assert not clipped.any()


def test_maps_of_one_scale_are_cut_together():
    heads = np.random.default_rng(1).uniform(0.5, 1, (2, 4, 8, 8))
    heads[0, 3, 2, 1] = 40
    heads[1, 0] *= 3
    assert clip_brightest(heads).clipped[..., 0, 0].tolist() == [[False] * 3 + [True], [False] * 4]
    together = clip_brightest(heads, (-3, -2, -1))
    assert together.clipped.shape == (2, 1, 1, 1)
    # Three of 256 may be cut in the first; a whole head is no outlier.
    assert together.clipped.ravel().tolist() == [True, False]
    np.testing.assert_array_equal(together.values[1], heads[1])
