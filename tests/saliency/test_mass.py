import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import strategies

from kerasvit.errors import InputError, UsageError
from kerasvit.saliency.mass import mass_mask

MAPS = hypothesis.extra.numpy.arrays(
    np.float32, (2, 3, 5), elements=strategies.floats(0, 1, width=32)
)


@hypothesis.settings(derandomize=True, max_examples=200, deadline=None)
@hypothesis.given(maps=MAPS, mass=strategies.floats(0.01, 1))
def test_the_mask_is_the_smallest_set_with_the_mass(maps, mass):
    masks = mass_mask(maps, mass)
    for values, mask in zip(maps.astype(np.float64), masks, strict=True):
        total, kept = values.sum(), values[mask]
        if total == 0:
            assert not mask.any()
            continue
        assert kept.sum() >= mass * total * (1 - 1e-9)
        assert kept.sum() - kept.min() < mass * total
        assert kept.min() >= values[~mask].max(initial=0)


def test_masks_equal_those_of_dinos_script():
    torch = pytest.importorskip("torch")
    maps = np.random.default_rng(0).uniform(size=(1, 6, 7, 9)).astype(np.float32)
    for mass in (0.3, 0.6, 0.95):
        rows = torch.from_numpy(maps).reshape(6, -1).double()
        values, order = torch.sort(rows)
        kept = torch.cumsum(values / values.sum(dim=1, keepdim=True), dim=1) > 1 - mass
        expected = torch.zeros_like(kept).scatter(1, order, kept).reshape(1, 6, 7, 9)
        np.testing.assert_array_equal(mass_mask(maps, mass), expected.numpy())


def test_equal_patches_are_not_kept_twice_by_rounding():
    assert mass_mask(np.full((1, 10), 0.1), 0.6).sum() == 6
    assert mass_mask(np.full((1, 10), np.float32(0.1)), 0.6).sum() == 6


def test_among_many_equal_patches_the_earlier_ones_are_kept():
    maps = np.random.default_rng(0).integers(1, 4, (20, 20)).astype(float)
    kept = mass_mask(maps, 0.5)
    for value in (1, 2, 3):
        chosen = kept[maps == value]
        assert chosen.tolist() == sorted(chosen, reverse=True)


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 1 / 3])
def test_k_of_n_equal_patches_hold_k_nths_however_the_sum_is_rounded(value):
    for count in range(2, 31):
        for kept in range(1, count + 1):
            assert mass_mask(np.full((1, count), value), kept / count).sum() == kept


@pytest.mark.parametrize("grid", [(3, 5), (5, 3)])
def test_the_mask_stays_where_the_mass_is(grid):
    maps = np.full(grid, 1e-3)
    maps[1, 2] = 1
    expected = np.zeros(grid, bool)
    expected[1, 2] = True
    np.testing.assert_array_equal(mass_mask(maps), expected)


def test_each_map_counts_alone_and_its_scale_plays_no_part():
    maps = np.random.default_rng(0).uniform(size=(2, 3, 4, 4))
    together = mass_mask(maps)
    np.testing.assert_array_equal(together[1, 2], mass_mask(maps[1, 2]))
    np.testing.assert_array_equal(together, mass_mask(maps * 8))


@pytest.mark.parametrize("bad", [-1e-6, np.nan, np.inf])
def test_what_has_no_mass_is_refused(bad):
    maps = np.full((2, 3, 5), 0.1)
    maps[1, 1, 2] = bad
    with pytest.raises(InputError, match="not negative"):
        mass_mask(maps)


@pytest.mark.parametrize("mass", [0, -0.1, 1.01, np.nan])
def test_a_mass_out_of_range_is_refused(mass):
    with pytest.raises(UsageError, match="share"):
        mass_mask(np.ones((3, 5)), mass)
