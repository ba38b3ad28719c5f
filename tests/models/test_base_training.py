"""Training, evaluation and prediction with plain labels: the losses and metrics see the logits."""

import warnings

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backend

# The smallest models that have every part: compilers take their time for each block.
SMALL = {"ViT": {"num_layers": 1}, "CaiT": {"num_layers": 1, "num_class_layers": 1}}
every_family = pytest.mark.parametrize("family", SMALL)


def _loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _momentum():
    """An optimizer with a state that a saved model must keep."""
    return keras.optimizers.SGD(0.01, momentum=0.9)


def _compile(model, optimizer="sgd", xla=False):
    """Compile as users do, but for XLA on TensorFlow: it takes ten seconds a step function."""
    jit_compile = "auto" if xla or keras.backend.backend() != "tensorflow" else False
    model.compile(optimizer, _loss(), metrics=["accuracy"], jit_compile=jit_compile)
    return model


@pytest.fixture(scope="module")
def data(tools):
    return tools.random_images(8, seed=5), np.arange(8) % 5


def _fit(model, data, epochs=3, **kwargs):
    """Train, and return the losses of the epochs and the warnings about gradients."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(*data, batch_size=2, epochs=epochs, verbose=0, **kwargs)
    return history.history["loss"], [w for w in caught if "radient" in str(w.message)]


def _check_evaluation(tools, model, data, sample_weight=None):
    """The figures of `evaluate` are those of the logits that `predict` gives."""
    images, labels = data
    logits = model.predict(images, batch_size=2, verbose=0)[0]
    found = model.evaluate(
        *data, batch_size=2, verbose=0, return_dict=True, sample_weight=sample_weight
    )
    expected = keras.ops.convert_to_numpy(_loss()(labels, logits, sample_weight=sample_weight))
    assert found["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert found["accuracy"] == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_a_model_trains_is_saved_and_trains_on(tools, data, tmp_path):
    rates = {"drop_path_rate": 0.1, "dropout_rate": 0.1, "attention_dropout_rate": 0.1}
    model = _compile(tools.make("CaiT", **SMALL["CaiT"], **rates), _momentum())
    losses, complaints = _fit(model, data, epochs=4, class_weight={k: 1.0 + k for k in range(5)})
    assert losses[-1] < losses[0]
    assert not complaints
    _check_evaluation(tools, model, data)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert tools.same_weights(loaded, model)
    states = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
    assert all(np.array_equal(*map(keras.ops.convert_to_numpy, pair)) for pair in states)
    predictions = model.predict(data[0], batch_size=2, verbose=0)
    tools.assert_close(loaded.predict(data[0], batch_size=2, verbose=0), predictions)
    weights = np.linspace(0.5, 2, 8)
    _check_evaluation(tools, loaded, data, weights)
    losses, _ = _fit(loaded, data, sample_weight=weights)
    assert np.isfinite(losses).all()
    assert not tools.same_weights(loaded, model)


@every_family
def test_training_a_view_trains_the_model(tools, data, family):
    model = tools.make(family, **SMALL[family])
    before = tools.run(model, data[0])[0]
    view = _compile(model.with_attention("none"), xla=True)
    losses, complaints = _fit(view, data)
    assert losses[-1] < losses[0]
    assert not complaints
    logits = tools.run(model, data[0])[0]
    assert np.abs(logits - before).max() > 1e-2
    tools.assert_close(logits, tools.run(view, data[0])[0])
    _check_evaluation(tools, view, data)


def test_predict_gives_what_a_call_gives_in_depth_order(tools, images):
    """JAX returns dictionaries sorted by text: with unpadded numbers, block 10 would be third."""
    model = _compile(tools.make("CaiT", num_layers=12))
    outputs = model.predict(np.repeat(images, 2, axis=0), batch_size=2, verbose=0)
    assert list(outputs[1]) == [f"sa_ffn_block_{index:02d}_att" for index in range(12)]
    expected = tools.run(model, images)
    tools.assert_close(outputs[0], np.repeat(expected[0], 2, axis=0), 1e-5)
    for stage in (1, 2):
        repeated = {key: np.repeat(value, 2, axis=0) for key, value in expected[stage].items()}
        tools.assert_close(dict(outputs[stage]), repeated, 1e-5)


def test_a_model_of_ones_own_around_the_logits_trains(tools, data, tmp_path):
    inner = tools.make("ViT", **SMALL["ViT"])
    inputs = keras.Input((16, 24, 3))
    logits, sa_scores, _ = inner(inputs)
    assert logits.shape == (None, 5)
    assert all(score.shape[0] is None for score in sa_scores.values())
    model = _compile(keras.Model(inputs, logits))
    losses, _ = _fit(model, data)
    assert losses[-1] < losses[0]
    tools.assert_close(
        keras.ops.convert_to_numpy(model(data[0])), tools.run(inner, data[0])[0], 1e-5
    )
    model.save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    assert tools.same_weights(loaded, model)


def test_low_rank_adaptation_trains_in_place_of_the_kernel(tools, data, tmp_path):
    model = tools.make("ViT", **SMALL["ViT"])
    dense = model.blocks[0].attention.qkv
    kernel = keras.ops.convert_to_numpy(dense.kernel)
    dense.enable_lora(2)
    frozen = keras.ops.convert_to_numpy(dense._kernel)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(dense.kernel), kernel)
    losses, _ = _fit(_compile(model), data)
    assert losses[-1] < losses[0]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(dense._kernel), frozen)
    assert np.abs(keras.ops.convert_to_numpy(dense.kernel) - kernel).max() > 1e-4
    model.save(tmp_path / "lora.keras")
    loaded = keras.saving.load_model(tmp_path / "lora.keras")
    tools.assert_close(tools.run(loaded, data[0]), tools.run(model, data[0]), 1e-5)
