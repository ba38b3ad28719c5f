"""Keras' own callbacks and every kind of data, each in a real `fit`; larger models around ours."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backend

LABELS = np.array([1, 3, 0, 2])
SMALL = {"ViT": {"num_layers": 1}, "CaiT": {"num_layers": 1, "num_class_layers": 1}}


def _loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _compiled(tools, family="ViT"):
    model = tools.make(family, **SMALL[family])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), _loss(), metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def data(tools):
    return tools.random_images(4, seed=5), LABELS


class _Interrupted(Exception):
    """Somebody pulled the plug."""


def test_a_fit_that_was_interrupted_goes_on_where_it_was(tools, data, tmp_path):
    """BackupAndRestore, ModelCheckpoint and TensorBoard together, over a break."""
    options = {"batch_size": 2, "shuffle": False, "epochs": 3, "verbose": 0}
    whole = _compiled(tools)
    whole.fit(*data, **options)

    def pull_the_plug(epoch, logs):
        if epoch == 1:
            raise _Interrupted

    callbacks = [
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
    ]
    if all(map(importlib.util.find_spec, ("tensorflow", "tensorboard"))):
        callbacks.append(keras.callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1))
    plug = keras.callbacks.LambdaCallback(on_epoch_begin=pull_the_plug)
    with pytest.raises(_Interrupted):
        _compiled(tools).fit(*data, **options, callbacks=[*callbacks, plug])
    again = _compiled(tools)
    history = again.fit(*data, **options, callbacks=callbacks)
    assert history.epoch == [1, 2]
    tools.assert_close(again.get_weights(), whole.get_weights(), 1e-5)

    checkpoint = keras.saving.load_model(tmp_path / "3.keras")
    assert tools.same_weights(checkpoint, again)
    assert not (tmp_path / "backup").exists() or not any((tmp_path / "backup").iterdir())
    logs = [path for path in pathlib.Path(tmp_path / "logs").rglob("*") if path.is_file()]
    assert bool(logs) == (len(callbacks) == 3)


class _Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 2

    def __getitem__(self, index):
        chosen = slice(2 * index, 2 * index + 2)
        return self.images[chosen], self.labels[chosen]


def _torch_loader(images, labels):
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    return torch.utils.data.DataLoader(pairs, batch_size=2)


def _grain(images, labels):
    grain = pytest.importorskip("grain")
    source = [(images[index], labels[index]) for index in range(4)]
    return grain.MapDataset.source(source).batch(2).to_iter_dataset()


def _tf_data(images, labels):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)


def _generator(images, labels):
    while True:
        for start in (0, 2):
            yield images[start : start + 2], labels[start : start + 2]


KINDS = {
    "PyDataset": _Batches,
    "DataLoader": _torch_loader,
    "grain": _grain,
    "tf.data": _tf_data,
    "generator": _generator,
}


def test_every_kind_of_data_trains_the_same(tools, data):
    model, expected = _compiled(tools), _compiled(tools)
    expected.fit(*data, batch_size=2, shuffle=False, verbose=0)
    start = tools.make("ViT", **SMALL["ViT"]).get_weights()
    for make in KINDS.values():
        model.set_weights(start)
        for variable in model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape, variable.dtype))
        model.fit(make(*data), shuffle=False, steps_per_epoch=2, verbose=0)
        tools.assert_close(model.get_weights(), expected.get_weights(), 1e-5)


@pytest.mark.parametrize("family", SMALL)
def test_a_classifier_is_part_of_larger_models(tools, data, family):
    """In Sequential and in a Functional model with one loss, which train our own weights."""
    model = tools.make(family, **SMALL[family])
    expected = tools.run(model, data[0] / 2)[0]
    part = model.classifier()
    assert part.input.shape == (None, 16, 24, 3)
    assert part.output.shape == (None, 5)
    halved = keras.Sequential([keras.layers.Rescaling(0.5), part])
    tools.assert_close(keras.ops.convert_to_numpy(halved(data[0])), expected, 1e-5)

    images = keras.Input((16, 24, 3))
    outputs = keras.layers.Dense(3)(model.headless().classifier()(images))
    larger = keras.Model(images, outputs)
    larger.compile("sgd", _loss())
    before = model.get_weights()
    larger.fit(data[0], LABELS % 3, verbose=0)
    changed = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert sum(changed) > len(changed) / 2
    of_head = ["/head/" in weight.path for weight in model.weights]
    assert not any(one and other for one, other in zip(changed, of_head, strict=True))


def test_low_rank_matrices_and_int8_serve_a_classifier_too(tools, data):
    model = tools.make("ViT", **SMALL["ViT"])
    view = model.classifier()
    for layer in (model.blocks[0].mlp.dense_1, model.blocks[0].mlp.dense_2):
        layer.enable_lora(2)
    view.compile("sgd", _loss())
    view.fit(*data, verbose=0)
    tools.assert_close(tools.run(model, data[0])[0], view.predict(data[0], verbose=0), 1e-5)
    expected = view.predict(data[0], verbose=0)
    with pytest.warns(UserWarning, match="does not have a `quantize` method|not implemented"):
        model.quantize("int8")
    found = model.classifier().predict(data[0], verbose=0)
    tools.assert_close(found, tools.run(model, data[0])[0], 1e-5)
    assert np.abs(found - expected).max() < 0.2 * np.abs(expected).max()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kerastuner_searches_over_our_models(tools, data, tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")

    def build(trial):
        model = tools.make("ViT", num_layers=trial.Choice("num_layers", [1, 2]))
        model.compile("sgd", _loss(), metrics=["accuracy"])
        return model

    tuner = keras_tuner.GridSearch(build, "val_accuracy", directory=tmp_path)
    tuner.search(*data, validation_data=data, epochs=1, verbose=0)
    assert tuner.get_best_models()[0].num_layers in (1, 2)
