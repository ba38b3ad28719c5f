"""Weights of another model are refused, where Keras would take what it finds."""

import numpy as np
import pytest
from keras import ops

import kerasvit
from kerasvit.errors import InputError

SIZES = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "hidden_dim": 8,
    "num_layers": 2,
    "num_heads": 2,
    "mlp_dim": 16,
    "num_classes": 3,
}
# Each differs from the first in its weights, and Keras alone loads some of them into others.
MODELS = {
    "plain": {},
    "deeper": {"num_layers": 3},
    "wider": {"hidden_dim": 16},
    "headless": {"num_classes": 0},
    "registers": {"num_registers": 2},
    "scaled": {"layer_scale_init_value": 0.1},
}


def _model(name, **arguments):
    return kerasvit.VisionTransformer(**{**SIZES, **MODELS[name], **arguments}, name=name)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for name in MODELS:
        model = _model(name)
        for suffix in (".weights.h5", ".keras"):
            found[name, suffix] = folder / f"{name}{suffix}"
            (model.save_weights if suffix == ".weights.h5" else model.save)(found[name, suffix])
    return found


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("name", MODELS)
def test_every_wrong_pair_is_refused_and_changes_nothing(files, name, suffix):
    model = _model(name)
    before = [ops.convert_to_numpy(one).copy() for one in model.weights]
    for other in MODELS:
        if other != name:
            with pytest.raises(InputError, match=f"{other}.*another model"):
                model.load_weights(files[other, suffix])
    assert all(map(np.array_equal, before, model.get_weights()))
    model.load_weights(files[name, suffix])


@pytest.mark.backend
def test_what_is_no_weight_does_not_count(tmp_path):
    model = _model("plain", dropout_rate=0.1, drop_path_rate=0.1, attention_dropout_rate=0.1)
    model.compile(optimizer="adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "trained.keras")
    model.save_weights(tmp_path / "trained.weights.h5")
    for path in tmp_path.iterdir():
        _model("plain", dropout_rate=0.1).load_weights(path)
    model.head.enable_lora(2)
    model.load_weights(tmp_path / "trained.weights.h5")


def test_mismatches_can_be_passed_over(files):
    _model("plain").load_weights(files["deeper", ".weights.h5"], skip_mismatch=True)


def test_a_file_that_is_no_file_of_weights_is_left_to_keras(tmp_path):
    path = tmp_path / "broken.weights.h5"
    path.write_bytes(b"nothing")
    with pytest.raises(OSError, match=r"(?i)signature|open file"):
        _model("plain").load_weights(path)
