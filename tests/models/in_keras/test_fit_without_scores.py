"""`fit` and `evaluate` run in the cheap mode, and the model stays what it was."""

import functools

import keras
import numpy as np
import pytest

from kerasvit.layers import ClassAttention, SelfAttention, TalkingHeadsAttention
from kerasvit.models import CaiT, VisionTransformer

pytestmark = pytest.mark.backend

LAYERS = {"ViT": (SelfAttention,), "CaiT": (TalkingHeadsAttention, ClassAttention)}
ONE = {"num_layers": 1}
SIZES = {"ViT": ONE, "CaiT": {**ONE, "num_class_layers": 1}}
JIT = keras.backend.backend() == "jax"


@pytest.fixture
def data(tools):
    return tools.random_images(4, seed=5), np.arange(4)


@pytest.fixture
def asked(monkeypatch):
    """The rows of scores that every attention was asked for since the list was cleared."""
    rows = []
    for layer in {layer for layers in LAYERS.values() for layer in layers}:
        original = layer.call

        # Keras reads the signature to know that the layer wants `training`.
        @functools.wraps(original)
        def spy(self, *args, score_rows=None, original=original, **kwargs):
            rows.append(score_rows)
            return original(self, *args, score_rows=score_rows, **kwargs)

        monkeypatch.setattr(layer, "call", spy)
    return rows


def _compile(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], jit_compile=JIT)
    return model


@pytest.mark.parametrize("family", LAYERS)
def test_a_step_makes_no_scores(tools, data, asked, family):
    model = _compile(tools.make(family, **SIZES[family]))
    # Before it begins, `fit` builds loss and metrics from a call that is no step.
    begin = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: asked.clear())
    model.fit(*data, batch_size=2, verbose=0, callbacks=[begin])
    model.evaluate(*data, batch_size=2, verbose=0)
    assert asked
    assert set(asked) == {0}

    assert model.attention == model.returned_scores == "full"


def _compiled_step(model, data):
    """Return the program that JAX compiles for a step of `fit`."""
    import jax

    _compile(model).fit(*data, batch_size=4, verbose=0)
    kinds = (
        *(model.trainable_variables, model.non_trainable_variables),
        *(model.optimizer.variables, model.metrics_variables),
    )
    state = tuple([variable.value for variable in variables] for variables in kinds)
    return jax.jit(model.train_step).lower(state, data).as_text()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone shows its program")
@pytest.mark.parametrize("family", LAYERS)
def test_a_step_is_the_same_program_whatever_the_scores(tools, data, family):
    modes = ("full", "none")
    models = [tools.make(family, **SIZES[family], attention=mode) for mode in modes]
    full, none = (_compiled_step(model, data) for model in models)
    assert full == none


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone shows its program")
def test_scores_that_a_loss_asks_for_are_in_the_program(tools, data):
    model = tools.make("ViT", **ONE)
    sharp = _Sharp.from_config(model.get_config())
    assert _compiled_step(sharp, data) != _compiled_step(model, data)


class _Sharp(VisionTransformer):
    """A model of somebody else, that wants its scores to be sharp."""

    scores_in_steps = True

    def call(self, images, training=None):
        logits, sa_scores, ca_scores = super().call(images, training)
        self.add_loss(-sum(keras.ops.mean(scores**2) for scores in sa_scores.values()))
        return logits, sa_scores, ca_scores


class _Scored(CaiT):
    """A model of somebody else that wants its scores in a step."""

    scores_in_steps = True


class _Plain(CaiT):
    """A model of somebody else that adds nothing, and costs nothing."""


class _OwnCall(CaiT):
    """A model of somebody else whose call does not say that it reads scores."""

    def call(self, images, training=None):
        return super().call(images, training)


class _OwnLoss:
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Read the scores, which `y_pred` holds."""


class _WithOwnLoss(_OwnLoss, CaiT):
    """A model of somebody else that got its loss from beside."""


class _Bold(_WithOwnLoss):
    """One that knows that its loss needs no scores."""

    scores_in_steps = False


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        (CaiT, False),
        (VisionTransformer, False),
        (_Plain, False),
        (_OwnCall, False),
        (_Scored, True),
        (_Sharp, True),
        (type("_Sharper", (_Sharp,), {}), True),
        (_WithOwnLoss, True),
        (_Bold, False),
        (type("_Bolder", (_Bold,), {}), False),
    ],
)
def test_scores_are_made_in_a_step_where_a_class_may_read_them(model_type, expected):
    assert model_type.scores_in_steps is expected


def test_a_class_derived_by_others_is_as_fast_as_its_parent(tools, data, asked):
    model = _compile(_Plain.from_config(tools.make("CaiT", **SIZES["CaiT"]).get_config()))
    model.fit(*data, batch_size=2, verbose=0)
    asked.clear()
    model.evaluate(*data, batch_size=2, verbose=0)
    assert set(asked) == {0}


def test_a_class_derived_by_others_keeps_its_scores_in_fit(tools, data):
    config = tools.make("ViT", **ONE).get_config()
    losses = []
    for model_type in (VisionTransformer, _Sharp):
        model = _compile(tools.randomise(model_type.from_config(config)))
        losses.append(model.evaluate(*data, verbose=0, return_dict=True)["loss"])
    scores = tools.run(model, data[0])[1].values()
    assert losses[0] - losses[1] == pytest.approx(sum((s**2).mean() for s in scores), rel=1e-3)


def test_training_is_the_same_with_and_without_scores(tools, data):
    config = tools.make("CaiT", **SIZES["CaiT"]).get_config()
    weights = []
    for model_type in (_Scored, CaiT):
        model = _compile(tools.randomise(model_type.from_config(config)))
        model.fit(*data, batch_size=2, epochs=2, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    tools.assert_close(*weights, 1e-5)
    _, sa_scores, ca_scores = model.predict(data[0], verbose=0)
    assert len(sa_scores) == len(ca_scores) == 1


def test_a_step_that_fails_leaves_the_model_as_it_was(tools, data):
    model = _compile(tools.make("ViT", **ONE))
    with pytest.raises(ValueError, match="multiples of the patch size"):
        model.fit(data[0][:, :15], data[1], verbose=0)
    assert model.returned_scores == "full"
    assert tools.run(model, data[0])[1]
