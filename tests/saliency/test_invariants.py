"""What every method promises: turned pictures, any tokens before the patches, any dictionaries."""

import numpy as np
import pytest

from kerasvit.layout import TokenLayout
from kerasvit.saliency import METHODS, explain
from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.methods.hiding import rise
from kerasvit.saliency.targets import Objective

# RISE's masks are drawn row by row, so that those of a turned picture are others.
TURNED = sorted(set(METHODS) - {"rise", "smoothgrad", "class_attention_rollout"})
FEW = {
    "headwise": {"steps": 2},
    "integrated_gradients": {"steps": 2},
    "smoothgrad": {"samples": 1},
    "rise": {"masks": 4},
    "tokencut": {"output": "values"},
    "lost": {"output": "values"},
}


@pytest.fixture(scope="module")
def quick():
    """Pass over JAX, which would compile each of these models for seconds.

    They concern what is done with scores and gradients, which `test_golden.py` holds equal.
    """
    import keras

    if keras.backend.backend() == "jax":
        pytest.skip("JAX compiles each model for seconds; its maps are those of the others")


def _turned(real, name):
    """Return a model that does with the transposed picture what `real`'s does with the picture."""
    model = getattr(real, name)()
    config = model.get_config() | {"image_shape": (20, 12, 3)}
    turned = type(model).from_config(config)
    rows, columns = 3, 5
    for own, other in zip(turned.weights, model.weights, strict=True):
        values = to_numpy(other.value)
        if own.path.endswith("projection/kernel") and values.ndim == 4:
            values = values.transpose(1, 0, 2, 3)
        elif "position" in own.path:
            prefix = values.shape[1] - rows * columns
            patches = values[:, prefix:].reshape(1, rows, columns, -1).transpose(0, 2, 1, 3)
            patches = patches.reshape(1, rows * columns, -1)
            values = np.concatenate([values[:, :prefix], patches], axis=1)
        own.assign(values)
    return turned


@pytest.fixture(scope="module")
def turned_models(real, quick):
    return {name: _turned(real, name) for name in ("vit", "cait")}


@pytest.mark.parametrize("method", TURNED)
@pytest.mark.parametrize("name", ["vit", "cait"])
def test_the_map_of_a_turned_picture_is_the_turned_map(real, turned_models, name, method):
    options = {"target": 2, **FEW.get(method, {})}
    upright = explain(getattr(real, name)(), real.pixels[:1], method, **options).values
    pixels = real.pixels[:1].transpose(0, 2, 1, 3)
    found = explain(turned_models[name], pixels, method, **options).values
    assert found.shape == (1, 5, 3)
    largest = np.abs(upright).max()
    np.testing.assert_allclose(found, upright.transpose(0, 2, 1), atol=1e-4 * largest)


PREFIXES = {
    1: {},
    2: {"use_distillation_token": True},
    5: {"num_registers": 4},
    6: {"num_registers": 4, "use_distillation_token": True},
}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"class_attention_rollout"}))
def test_any_tokens_before_the_patches(real, quick, method):
    for count, arguments in PREFIXES.items():
        model = real.vit(layer_scale_init_value=0.5, **arguments)
        assert model.token_layout().num_prefix == count
        values = explain(model, real.pixels[:1], method, **FEW.get(method, {})).values
        assert values.shape == (1, 3, 5)
        assert np.isfinite(values).all()
        assert np.ptp(values) > 0


class Shuffled:
    """A model whose dictionaries come in any order, as JAX's `predict` sorts them by text."""

    def __init__(self, model, seed=0):
        self.model, self.seed = model, seed

    def __getattr__(self, name):
        return getattr(self.model, name)

    def with_attention(self, *args, **kwargs):
        return Shuffled(self.model.with_attention(*args, **kwargs), self.seed)

    def __call__(self, pixels, training=False):
        logits, *scores = self.model(pixels, training=training)
        order = np.random.default_rng(self.seed)
        shuffle = [{key: one[key] for key in order.permutation(sorted(one))} for one in scores]
        return logits, *shuffle


@pytest.mark.parametrize("method", ["attention", "rollout", "class_attention_rollout"])
def test_the_order_of_the_dictionaries_plays_no_part(fakes, pixels, method):
    model = fakes.Model(num_layers=12, num_class_layers=2 * (method.startswith("class")))
    expected = explain(model, pixels, method)
    for seed in range(3):
        found = explain(Shuffled(model, seed), pixels, method)
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.layers == expected.layers


class Linear:
    """A model whose one logit is a weighted sum of the pixels."""

    num_classes = 0

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, pixels, training=False):
        return np.einsum("bhwc,hw->b", pixels, self.weights)[:, None], {}, {}

    def token_layout(self, shape, stage="sa"):
        return TokenLayout((), (shape[0] // 4, shape[1] // 4), (4, 4))


def test_rise_comes_near_the_weights_of_a_linear_model_as_masks_are_added():
    weights = np.random.default_rng(0).random((6, 5))
    model = Linear(weights.repeat(4, axis=0).repeat(4, axis=1))
    pixels = np.ones((1, 24, 20, 3), np.float32)
    objective = Objective(np.ones((1, 1), np.float32), None)
    agreement = []
    for masks in (20, 200, 4000):
        arguments = {"masks": masks, "cells": 10, "batch_size": 500}
        found = rise(model, pixels, objective, 0 * pixels, (6, 5), **arguments)
        agreement.append(np.corrcoef(found.ravel(), weights.ravel())[0, 1])
    assert agreement == sorted(agreement)
    assert agreement[-1] > 0.9
