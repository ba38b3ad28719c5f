"""Tiny models with random weights, and tools to read what they return."""

import types

import keras
import numpy as np
import pytest

from kerasvit.models import CaiT, VisionTransformer, XCiT

# A grid of 2x3 patches, and no argument that would hide another: CaiT's LayerScale of 1e-5 would.
TINY = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 3,
    "num_heads": 3,
    "mlp_dim": 20,
    "layer_scale_init_value": 0.5,
}
FAMILIES = {
    "ViT": (VisionTransformer, TINY),
    "distilled": (VisionTransformer, {**TINY, "use_distillation_token": True}),
    "CaiT": (CaiT, {**TINY, "num_class_layers": 2}),
    "XCiT": (XCiT, {**TINY, "num_class_layers": 2}),
}


def make(family, seed=0, **overrides):
    """Return a tiny model of a family with random weights."""
    model_type, arguments = FAMILIES[family]
    return randomise(model_type(**{**arguments, **overrides}), seed)


def randomise(model, seed=0):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(scale=0.4, size=weight.shape)
        # A variance is not negative.
        weight.assign(0.5 + abs(values) if weight.path.endswith("moving_variance") else values)
    return model


def random_images(batch=2, height=16, width=24, seed=1):
    images = np.random.default_rng(seed).normal(size=(batch, height, width, 3))
    return images.astype(np.float32)


def run(model, images, **kwargs):
    """Return the outputs of an eager call as arrays."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(images, **kwargs))


def assert_close(ours, expected, tolerance=1e-6):
    """Compare two structures of arrays, by the largest value of each array."""
    keras.tree.assert_same_structure(ours, expected)
    pairs = zip(keras.tree.flatten(ours), keras.tree.flatten(expected), strict=True)
    for one, other in pairs:
        assert np.abs(one - other).max() <= tolerance * max(1, np.abs(other).max())


def same_weights(model, other):
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


@pytest.fixture(scope="session")
def tools():
    functions = (make, randomise, random_images, run, assert_close, same_weights)
    return types.SimpleNamespace(**{function.__name__: function for function in functions})


@pytest.fixture(scope="session")
def images():
    return random_images()


@pytest.fixture(scope="session")
def models():
    """One model of each family, not to be changed by a test."""
    return {family: make(family) for family in FAMILIES}
