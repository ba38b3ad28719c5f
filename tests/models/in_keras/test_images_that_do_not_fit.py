"""Images that do not fit: one line that says what was meant, whatever they are given to."""

import keras
import numpy as np
import pytest

from kerasvit.errors import UsageError

pytestmark = pytest.mark.backend

IMAGES = np.zeros((4, 16, 24, 3), np.float32)
WRONG = {
    "one image": (IMAGES[0], r"shape \(16, 24, 3\).*images\[None\]"),
    "a list": (list(IMAGES), r"a list of 4.*np\.stack"),
    "channels first": (np.moveaxis(IMAGES, -1, 1), r"\(4, 3, 16, 24\).*Channels come last"),
    "grey": (IMAGES[..., :1], r"takes 3 channels"),
    "bytes": (IMAGES.astype("uint8"), r"dtype uint8.*float32"),
    "objects": (IMAGES.astype(object), r"dtype object"),
    "flat": (IMAGES.reshape(4, -1), r"shape \(4, 1152\)"),
}
WAYS = {
    "call": lambda model, images: model(images),
    "predict": lambda model, images: model.predict(images, verbose=0),
    "fit": lambda model, images: model.fit(images, np.arange(4), verbose=0),
    "evaluate": lambda model, images: model.evaluate(images, np.arange(4), verbose=0),
    "features": lambda model, images: model.features(images, blocks=[-1]),
}


@pytest.fixture(scope="module")
def model(tools):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = tools.make("ViT", num_layers=1)
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_was_meant_is_said_in_one_line(model, way, wrong):
    images, words = WRONG[wrong]
    with pytest.raises(UsageError, match=words) as caught:
        WAYS[way](model, images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((None, None, 3), "Height and width must be known"),
        ((16, None, 3), "Height and width must be known"),
        ((3, 16, 24), "Channels come last"),
    ],
)
def test_a_symbol_of_unknown_size_is_refused(model, shape, words):
    with pytest.raises(UsageError, match=words):
        model(keras.Input(shape))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_of_any_width_are_taken(model, dtype):
    assert model(IMAGES.astype(dtype))[0].shape == (4, 5)


def test_batches_of_a_data_set_are_checked_when_they_come(model):
    batches = ((images, np.arange(2)) for images in (np.zeros((2, 3, 16, 24), np.float32),))
    with pytest.raises(UsageError, match="Channels come last"):
        model.fit(batches, shuffle=False, verbose=0)


def test_a_summary_has_no_unknown_shape(tools):
    for family in ("ViT", "distilled", "CaiT"):
        lines = []
        tools.make(family).summary(print_fn=lines.append, expand_nested=False)
        assert "?" not in "\n".join(lines)
        assert "(None, 5)" in "\n".join(lines)
