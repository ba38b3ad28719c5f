"""Pictures of attention while a model trains."""

import logging
import os
import sys
import types
import unittest.mock

import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit.callbacks import AttentionCallback
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images import Preprocessing
from kerasvit.saliency import explain_blocks

SIZES = {
    "image_shape": (12, 20, 3),
    "patch_size": 4,
    "num_classes": 3,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 20,
}
PIXELS = np.random.default_rng(0).normal(size=(8, 12, 20, 3)).astype(np.float32)
LABELS = np.arange(8) % 3


def make_model():
    """Return a model with weights by NumPy: JAX takes seconds to draw them."""
    import keras

    def zeros(initializer, shape, dtype=None):
        return np.zeros(shape, dtype)

    with unittest.mock.patch.object(keras.initializers.TruncatedNormal, "__call__", zeros):
        model = kerasvit.VisionTransformer(**SIZES)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(each.mean(), 0.2, each.shape) for each in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    """One compiled model for all tests, which go on training it."""
    import keras

    model = make_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    return model


@pytest.fixture
def fit(model):
    """Return a function that trains with a callback."""

    def call(callback, epochs=2, **options):
        options = {"batch_size": 4, "verbose": 0, **options}
        return model.fit(PIXELS, LABELS, epochs=epochs, callbacks=[callback], **options)

    return call


def names(folder):
    return sorted(os.listdir(folder))


def load(path):
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.mark.backend
def test_every_epoch_leaves_a_sheet_and_the_maps_of_the_model_as_it_was(tmp_path, fit, model):
    fit(AttentionCallback(PIXELS[:2], tmp_path / "new" / "folder"))
    folder = tmp_path / "new" / "folder"
    assert names(folder) == [f"epoch_000{i}.{suffix}" for i in (1, 2) for suffix in ("npz", "png")]
    first, last = load(folder / "epoch_0001.npz"), load(folder / "epoch_0002.npz")
    assert list(first) == ["sa_ffn_block_00_att", "sa_ffn_block_01_att"]
    now = explain_blocks(model, PIXELS[:2], "all")
    for key, values in last.items():
        assert values.shape == (2, 3, 3, 5)
        np.testing.assert_allclose(values, now[key].values, atol=1e-6)
        assert not np.allclose(values, first[key], atol=1e-4), "the model has learnt since"
    with Image.open(folder / "epoch_0001.png") as sheet:
        assert np.ptp(np.asarray(sheet)) > 100


def test_other_epochs_cost_nothing(tmp_path, fit, monkeypatch):
    callback = AttentionCallback(PIXELS[:1], tmp_path, every=2)
    calls = []
    monkeypatch.setattr(callback, "maps", lambda real=callback.maps: calls.append(1) or real())
    fit(callback, epochs=3)
    assert names(tmp_path) == ["epoch_0002.npz", "epoch_0002.png"]
    assert len(calls) == 2, "one before training, one for the epoch"


def test_layers_and_heads_are_chosen(tmp_path, fit):
    fit(AttentionCallback(PIXELS[:1], tmp_path, layers=["last"], heads=[2, 0]), epochs=1)
    (values,) = load(tmp_path / "epoch_0001.npz").values()
    assert values.shape == (1, 2, 3, 5)


def test_another_method_has_one_map_a_picture(tmp_path, fit):
    callback = AttentionCallback(
        PIXELS[:2], tmp_path, method="rollout", settings={"discard": 0.1}, every=1
    )
    fit(callback, epochs=1)
    assert load(tmp_path / "epoch_0001.npz")["rollout"].shape == (2, 3, 5)


@pytest.mark.backend
def test_training_is_not_changed_by_looking(tmp_path, model):
    weights = model.get_weights()
    losses = []
    for callbacks in ([], [AttentionCallback(PIXELS[:1], tmp_path)]):
        model.set_weights(weights)
        model.optimizer.learning_rate = 0.0
        history = model.fit(
            PIXELS, LABELS, epochs=2, batch_size=4, verbose=0, shuffle=False, callbacks=callbacks
        )
        losses += history.history["loss"]
    model.optimizer.learning_rate = 1e-2
    np.testing.assert_allclose(losses, losses[0], atol=1e-6)


def test_pictures_of_any_size_are_prepared(tmp_path):
    paths = []
    for index, size in enumerate([(30, 40), (64, 32)]):
        pixels = np.random.default_rng(index).integers(0, 255, (*size, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(pixels).save(paths[-1])
    preprocessing = Preprocessing((12, 20), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    callback = AttentionCallback(paths, tmp_path, preprocessing=preprocessing)
    assert callback.pixels.shape == (2, 12, 20, 3)
    assert [picture.shape for picture in callback.pictures] == [(12, 20, 3)] * 2


def test_a_model_inside_another_one_is_looked_at(tmp_path):
    import keras

    inner = make_model()
    inputs = keras.Input(SIZES["image_shape"])
    outer = keras.Model(inputs, inner(keras.layers.Rescaling(2.0)(inputs))[0])
    outer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = AttentionCallback(2 * PIXELS[:1], tmp_path, model=inner)
    outer.fit(PIXELS, LABELS, epochs=1, verbose=0, batch_size=8, callbacks=[callback])
    assert names(tmp_path) == ["epoch_0001.npz", "epoch_0001.png"]


def test_wrong_options_stop_before_training(tmp_path, fit):
    with pytest.raises(UsageError, match="every"):
        AttentionCallback(PIXELS, tmp_path, every=0)
    with pytest.raises(InputError, match="preprocessing"):
        AttentionCallback(PIXELS[0], tmp_path)
    (tmp_path / "file").touch()
    for callback, error in (
        (AttentionCallback(PIXELS[:1], tmp_path, layers=[7]), UsageError),
        (AttentionCallback(PIXELS[:1], tmp_path, heads=[5]), UsageError),
        (AttentionCallback(PIXELS[:1], tmp_path, scale="no"), UsageError),
        (AttentionCallback(PIXELS[:1], tmp_path / "file"), OutputError),
    ):
        seen = []
        callback.on_train_batch_begin = lambda *_, seen=seen: seen.append(1)
        with pytest.raises(error):
            fit(callback)
        assert not seen
    assert names(tmp_path) == ["file"]


def test_files_of_an_earlier_run_are_kept_unless_overwriting_is_asked_for(tmp_path, fit):
    (tmp_path / "epoch_0002.png").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        fit(AttentionCallback(PIXELS[:1], tmp_path))
    assert (tmp_path / "epoch_0002.png").read_bytes() == b"old"
    fit(AttentionCallback(PIXELS[:1], tmp_path, overwrite=True))
    assert (tmp_path / "epoch_0002.png").read_bytes() != b"old"


def test_a_fault_while_training_is_logged_and_training_goes_on(tmp_path, fit, caplog):
    callback = AttentionCallback(PIXELS[:1], tmp_path)

    def spoil(epoch, logs=None):
        if epoch == 1:
            callback.pixels = callback.pixels * np.nan

    callback.on_epoch_begin = spoil
    with caplog.at_level(logging.WARNING):
        history = fit(callback, epochs=3)
    assert len(history.epoch) == 3
    assert "Epoch 2 is not drawn" in caplog.text
    assert names(tmp_path) == ["epoch_0001.npz", "epoch_0001.png"]


class FakeNotebook:
    """IPython as far as a notebook is concerned."""

    def __init__(self, shell):
        self.shown, self.updated = [], []
        self.get_ipython = lambda: shell

    def display(self, picture, display_id):
        self.shown.append(picture)
        return types.SimpleNamespace(update=self.updated.append)


@pytest.mark.parametrize("is_notebook", [True, False])
def test_a_notebook_shows_the_sheet_in_one_place(tmp_path, fit, monkeypatch, is_notebook):
    shell = types.SimpleNamespace(kernel=None) if is_notebook else types.SimpleNamespace()
    fake = FakeNotebook(shell)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    fit(AttentionCallback(PIXELS[:1], tmp_path), epochs=3)
    assert len(fake.shown) == is_notebook
    assert len(fake.updated) == 2 * is_notebook
    fit(AttentionCallback(PIXELS[:1], tmp_path, notebook=False, overwrite=True), epochs=1)
    assert len(fake.shown) == is_notebook
