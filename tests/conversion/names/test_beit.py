"""BEiT's files: Microsoft's own, wrapped as they are published; no square of a grid is guessed."""

import numpy as np
import pytest

from kerasvit.conversion import convert
from kerasvit.conversion.export import tensors_of
from kerasvit.errors import InputError
from kerasvit.models import create_model

SMALL = {"hidden_dim": 24, "num_layers": 2, "num_heads": 3, "mlp_dim": 40}


@pytest.fixture
def state():
    """A state dict in timm's names, of a network for 48x80 pixels."""
    model = create_model("beit_base_patch16_224", image_shape=(48, 80, 3), num_classes=5, **SMALL)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(size=weight.shape).astype("float32"))
    exported = tensors_of(model)
    return {name: np.array(tensor.load(name)) for name, tensor in exported.items()}


def converted(state, **options):
    arguments = {"image_shape": (48, 80, 3), **SMALL, **options}
    return convert(state, model="beit_base_patch16_224", verify=False, **arguments).model


@pytest.mark.parametrize("wrapper", ["model", "module"])
def test_microsofts_files_are_the_same_model(state, wrapper):
    index = {f"blocks.{i}.attn.relative_position_index": np.zeros((16, 16), int) for i in (0, 1)}
    ours, theirs = converted(state), converted({wrapper: {**state, **index}})
    assert len(ours.weights) == len(theirs.weights) > 30
    for one, same in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(same))


def test_the_size_of_the_table_must_be_that_of_the_images(state):
    with pytest.raises(InputError, match=r"grids .*3x5.*a grid of 3x3"):
        converted(state, image_shape=(48, 48, 3))
    with pytest.raises(InputError, match=r"no square.*image_size=\(height, width\)"):
        convert(state, model="beit_base_patch16_224", verify=False, **SMALL)
