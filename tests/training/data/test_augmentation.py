import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasvit.training.data import augmentation as augmenting

RNG = np.random.default_rng


def _numbered(count=6, height=8, width=12):
    """Pictures whose every pixel says where it is."""
    rows, columns = np.mgrid[:height, :width]
    numbers = [np.full((height, width), n) for n in range(count)]
    return np.stack([np.stack([rows, columns, n], -1) for n in numbers]).astype(np.uint8)


@pytest.mark.parametrize("margin", [0, 3])
def test_windows_are_the_pictures_moved_as_they_say(margin):
    images = _numbered()
    padded = augmenting.pad(images + 1, margin, "black")
    indices = RNG(0).integers(0, 6, 200)
    batch, moves = augmenting.padded_windows(padded, indices, margin, RNG(1))
    assert np.abs(moves.shifts).max() == margin
    assert 60 < moves.mirrored.sum() < 140
    for picture, index, (down, right), mirrored in zip(
        batch, indices, moves.shifts, moves.mirrored, strict=True
    ):
        expected = np.zeros_like(picture)
        rows = slice(max(down, 0), 8 + min(down, 0)), slice(max(-down, 0), 8 + min(-down, 0))
        columns = (
            slice(max(right, 0), 12 + min(right, 0)),
            slice(max(-right, 0), 12 + min(-right, 0)),
        )
        expected[rows[0], columns[0]] = images[index, rows[1], columns[1]] + 1
        np.testing.assert_array_equal(picture, expected[:, ::-1] if mirrored else expected)


def test_reflected_margin_is_numpys():
    images = _numbered(2)
    expected = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(augmenting.pad(images, 2, "reflect"), expected)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 10))
def test_resized_window_lies_in_the_picture(height, width, seed):
    top, left, bottom, right = augmenting.resized_window(height, width, RNG(seed))
    assert 0 <= top < bottom <= height
    assert 0 <= left < right <= width


def test_resized_windows_keep_to_scale_and_ratio():
    boxes = np.array([augmenting.resized_window(200, 300, RNG(seed)) for seed in range(500)])
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    shares, ratios = heights * widths / 60000, widths / heights
    assert 0.075 < shares.min() < 0.12
    assert 0.85 < shares.max() <= 1.0
    assert 0.73 < ratios.min() < 0.8
    assert 1.27 < ratios.max() < 1.36


def test_window_that_fits_nowhere_is_the_largest_of_an_allowed_ratio():
    assert augmenting.resized_window(10, 1000, RNG(0), scale=(1.0, 1.0)) == (0, 493, 10, 506)


def test_mixup_is_the_closed_form():
    images, targets = RNG(0).random((4, 2, 2, 3)), np.eye(4)
    mixed, labels = augmenting.mix(images, targets, RNG(5), mixup=0.8, cutmix=0.0)
    lam = labels[0, 0]
    assert 0 < lam < 1
    np.testing.assert_allclose(mixed, lam * images + (1 - lam) * images[::-1], atol=1e-6)
    np.testing.assert_allclose(labels, lam * np.eye(4) + (1 - lam) * np.eye(4)[::-1])


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_labels_are_the_shares_of_the_pixels(seed):
    images = np.broadcast_to(np.arange(4.0)[:, None, None, None], (4, 10, 7, 3))
    mixed, labels = augmenting.mix(images, np.eye(4), RNG(seed), mixup=0.0, cutmix=1.0)
    own = (mixed == images).all(-1).mean((1, 2))
    np.testing.assert_allclose(own, labels[np.arange(4), np.arange(4)])
    np.testing.assert_allclose(labels.sum(1), 1.0)
    assert np.isin(mixed[0], (0.0, 3.0)).all()


def test_strength_of_mixing_follows_the_beta_distribution():
    images, targets = np.zeros((2, 1, 1, 3)), np.eye(2)
    kept = [augmenting.mix(images, targets, RNG(n), 0.8, 0.0)[1][0, 0] for n in range(2000)]
    # Variance of Beta(a, a): 1 / (4 (2 a + 1)).
    assert np.mean(kept) == pytest.approx(0.5, abs=0.03)
    assert np.var(kept) == pytest.approx(1 / (4 * 2.6), rel=0.08)


def test_share_of_batches_is_mixed():
    images, targets = np.zeros((2, 4, 4, 3)), np.eye(2)
    mixed = [augmenting.mix(images, targets, RNG(n), probability=0.3)[1] for n in range(600)]
    changed = sum(not np.array_equal(one, targets) for one in mixed)
    assert changed == pytest.approx(180, abs=3 * np.sqrt(600 * 0.3 * 0.7) + 15)


def test_erasing_leaves_the_rest_alone():
    images = np.full((400, 16, 16, 3), 7.0, np.float32)
    erased = augmenting.erase(images.copy(), RNG(0), 0.25) != 7.0
    changed = erased.any((1, 2, 3))
    assert changed.sum() == pytest.approx(100, abs=26)
    for mask in erased[changed].all(-1):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[np.ix_(rows, columns)].all()
        assert len(rows) == rows[-1] - rows[0] + 1
        assert 0.01 < mask.mean() < 0.4


def test_one_hot_is_the_identity_by_row():
    np.testing.assert_array_equal(augmenting.one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
