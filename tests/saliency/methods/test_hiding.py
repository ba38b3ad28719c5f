import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.saliency.methods.baselines import blur, make_baseline
from kerasvit.saliency.methods.hiding import occlusion, random_masks, rise
from kerasvit.saliency.targets import Objective

SIZE = (12, 20)
GRID = (3, 5)


class Linear:
    """A model whose one output is a weighted sum of the pixels."""

    num_classes = 1

    def __init__(self, seed=0):
        self.weights = np.random.default_rng(seed).normal(size=(*SIZE, 3)).astype(np.float32)

    def __call__(self, pixels, training=False):
        return np.einsum("bhwc,hwc->b", pixels, self.weights)[:, None], {}, {}


@pytest.fixture
def pixels():
    return np.random.default_rng(1).normal(size=(2, *SIZE, 3)).astype(np.float32)


@pytest.fixture
def watched():
    return Objective(np.ones((2, 1), np.float32), None)


def cells(values):
    return values.reshape(2, 3, 4, 5, 4, 3).sum(axis=(2, 4, 5))


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_occlusion_of_a_linear_model_is_exact(pixels, watched, batch_size):
    model = Linear()
    ground = np.full_like(pixels, 0.5)
    found = occlusion(model, pixels, watched, ground, GRID, batch_size)
    np.testing.assert_allclose(found, cells((pixels - ground) * model.weights), atol=1e-4)


@pytest.mark.parametrize("patch", [(0, 0), (1, 2), (2, 4)])
def test_rise_points_at_the_one_patch_that_counts(pixels, watched, patch):
    model = Linear()
    counts = np.zeros(GRID, np.float32)
    counts[patch] = 1
    fine = counts.repeat(4, axis=0).repeat(4, axis=1)[..., None]
    model.weights = fine * np.sign(pixels[0])
    settings = {"masks": 500, "cells": 3, "batch_size": 500}
    found = rise(model, pixels[:1], watched.select(slice(1)), 0 * pixels[:1], GRID, **settings)[0]
    assert np.unravel_index(found.argmax(), GRID) == patch
    # Shown half the time, it adds half on the mean; while it is seen, nearly all.
    whole = np.abs(pixels[0] * model.weights).sum()
    assert found.min() == pytest.approx(0.5 * whole, rel=0.3)
    assert 0.6 * whole < found.max() <= whole


def test_masks_are_seeded_smooth_and_keep_the_share_asked_for():
    masks = np.stack(list(random_masks((24, 40), 200, 5, 0.3, seed=4)))
    again = np.stack(list(random_masks((24, 40), 200, 5, 0.3, seed=4)))
    np.testing.assert_array_equal(masks, again)
    assert masks.shape == (200, 24, 40)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert masks.mean() == pytest.approx(0.3, abs=0.02)
    # Every pixel is hidden and shown about as often: no border stays.
    assert np.abs(masks.mean(axis=0) - 0.3).max() < 0.15
    assert np.abs(np.diff(masks, axis=2)).max() < 0.5


def test_the_probability_of_a_class_is_that_of_a_softmax():
    scipy_special = pytest.importorskip("scipy.special")
    logits = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    chosen = Objective(np.eye(6, dtype=np.float32)[[2]], (2,))
    expected = scipy_special.softmax(logits, axis=1)[:, 2]
    np.testing.assert_allclose(chosen.probability(logits), expected, rtol=1e-5)
    feature = Objective(np.ones((1, 6), np.float32), None)
    np.testing.assert_allclose(feature.probability(logits), logits.sum(axis=1), rtol=1e-5)


def test_blur_equals_scipy(pixels):
    ndimage = pytest.importorskip("scipy.ndimage")
    expected = ndimage.gaussian_filter(
        pixels.astype(np.float64), (0, 2, 2, 0), mode="nearest", truncate=3
    )
    np.testing.assert_allclose(blur(pixels, 2.0), expected, atol=1e-5)


def test_baselines(pixels):
    class Model:
        record = {"preprocessing": {"mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3]}}  # noqa: RUF012

    assert not make_baseline(Model(), pixels, "mean").any()
    black = make_baseline(Model(), pixels, "black")
    np.testing.assert_allclose(black[1, 3, 4], [-5, -2, -1], rtol=1e-6)
    assert (make_baseline(Model(), pixels, 2.5) == 2.5).all()
    np.testing.assert_array_equal(make_baseline(Model(), pixels, pixels[0])[1], pixels[0])
    for wrong in (pixels[:, :5], np.nan):
        with pytest.raises(InputError, match="finite and fits"):
            make_baseline(Model(), pixels, wrong)
