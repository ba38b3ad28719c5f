"""TensorFlow tunes no data set of a model here: its thread may sleep on when an epoch has ended."""

import keras
import numpy as np
import pytest

import kerasvit

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="TensorFlow alone tunes data sets"
    ),
]


@pytest.fixture
def tuned(monkeypatch):
    """What the options of each data set that is read say of tuning, in order."""
    import tensorflow as tf

    seen, own = [], tf.data.Dataset.__iter__

    def recorded(dataset):
        seen.append(dataset.options().autotune.enabled)
        return own(dataset)

    for kind in (tf.data.Dataset, type(tf.data.Dataset.range(1).with_options(tf.data.Options()))):
        monkeypatch.setattr(kind, "__iter__", recorded)
    return seen


@pytest.fixture(scope="module")
def model():
    made = kerasvit.VisionTransformer(
        image_shape=(16, 16, 3), patch_size=8, num_classes=3, hidden_dim=8, num_layers=1,
        num_heads=2, mlp_dim=8,
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile("sgd", loss)
    return made


IMAGES, LABELS = np.zeros((4, 16, 16, 3), "float32"), np.zeros(4, "int32")


def test_no_epoch_evaluation_or_prediction_is_tuned(model, tuned):
    model.fit(IMAGES, LABELS, epochs=2, verbose=0, validation_data=(IMAGES, LABELS))
    model.evaluate(IMAGES, LABELS, verbose=0)
    model.predict(IMAGES, verbose=0)
    assert len(tuned) >= 6
    assert set(tuned) == {False}


@pytest.mark.parametrize("enabled", [True, False])
def test_a_data_set_that_says_something_of_tuning_keeps_it(model, tuned, enabled):
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = enabled
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(2).with_options(options)
    model.fit(dataset, shuffle=False, verbose=0)
    assert set(tuned) == {enabled}


def test_other_models_are_left_as_they_are(model, tuned):
    model.predict(IMAGES, verbose=0)
    other = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    tuned.clear()
    other.predict(IMAGES, verbose=0)
    assert set(tuned) == {None}
