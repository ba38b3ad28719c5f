"""Every architecture at a size that takes milliseconds: one block, a width of 24, 3x4 patches.

Norms are built for the shape that they are called with: Keras 3.16 counts their axes from the
front. Keras 3.15 takes the last axis of whatever comes, and would not notice.

Run as a program, this file writes the logits of all architectures, with weights that depend on
their shapes and order alone, so that versions of Keras can be compared: see `tests/on_nightly.py`.
"""

import sys

import keras
import numpy as np
import pytest

from kerasvit import create_model, list_models
from kerasvit.layers.primitives.norms import NORM_TYPES
from kerasvit.models import factory

SMALL = {"hidden_dim": 24, "num_layers": 1, "num_heads": 3, "mlp_dim": 20, "num_classes": 7}


def small_model(name):
    """Return the architecture of this name made small, with random weights."""
    model_type, variant = factory.variant(name)
    patch = variant["patch_size"]
    late = "num_class_layers" in model_type.arguments
    small = {**SMALL, "num_class_layers": 1} if late else SMALL
    model = create_model(name, image_shape=(3 * patch, 4 * patch, 3), **small)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        values = generator.normal(scale=0.4, size=weight.shape)
        weight.assign(abs(values) if weight.path.endswith("variance") else values)
    return model


def images_for(model):
    shape = (2, *model.image_shape)
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def logits(name):
    model = small_model(name)
    return keras.ops.convert_to_numpy(model(images_for(model))[0])


@pytest.fixture
def norms(monkeypatch):
    """The shapes that each norm was built for and called with, by the norm."""
    built, called = {}, []
    for norm_type in NORM_TYPES.values():

        def build(self, input_shape, original=norm_type.build):
            built[self] = tuple(input_shape)
            original(self, input_shape)

        def call(self, inputs, original=norm_type.call):
            called.append((self, tuple(inputs.shape)))
            return original(self, inputs)

        monkeypatch.setattr(norm_type, "build", build)
        monkeypatch.setattr(norm_type, "call", call)
    return built, called


def _fits(built, called):
    return len(built) == len(called) and all(
        size in (None, other) for size, other in zip(built, called, strict=True)
    )


@pytest.mark.parametrize("name", list_models())
def test_norms_are_built_for_what_they_are_called_with(norms, name):
    built, called = norms
    model = small_model(name)
    images = images_for(model)
    model(images)
    model.forward_features(images)
    wrong = [
        (norm.path, built[norm], shape) for norm, shape in called if not _fits(built[norm], shape)
    ]
    assert called
    assert not wrong


if __name__ == "__main__":
    np.savez(sys.argv[1], **{name: logits(name) for name in list_models()})
