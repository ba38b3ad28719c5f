"""The state of a run is the old one or the new one, whole."""

import keras
import numpy as np
import pytest

from kerasvit.errors import OutputError
from kerasvit.training.run import checkpoints


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_state_comes_back(model, tmp_path):
    weights = [np.full(weight.shape, 7.0) for weight in model.weights]
    model.set_weights(weights)
    checkpoints.save_state(tmp_path / "state.npz", model, {"step": 5}, {})
    model.set_weights([np.zeros(weight.shape) for weight in model.weights])
    assert checkpoints.read_meta(tmp_path / "state.npz")["step"] == 5
    checkpoints.restore_state(tmp_path / "state.npz", model)
    for found, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_ends_the_writing_leaves_the_old_state_and_nothing_else(model, tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    checkpoints.save_state(path, model, {"step": 5}, {})
    before = path.read_bytes()

    def half(file, **arrays):
        file.write(before[: len(before) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.np, "savez", half)
    with pytest.raises(OutputError, match="No space left"):
        checkpoints.save_state(path, model, {"step": 6}, {})
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["state.npz"]
