"""Adam's update as one operation of TensorFlow: what Keras' own operations do, weight by weight."""

import families
import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from kerasvit.models import VisionTransformer
from kerasvit.models.steps import whole_updates
from kerasvit.models.steps.tracing import tracing_step
from kerasvit.private_names import fitting
from kerasvit.private_names.lookup import warn
from kerasvit.training.by_layer import AdamWByLayer
from kerasvit.training.distillation.student import DistilledTraining
from kerasvit.training.optimizers import make_optimizer

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="the operation is one of TensorFlow"
    ),
]

IMAGES, LABELS = families.images_of(), np.arange(4)
SCHEDULE = keras.optimizers.schedules.CosineDecay(1e-2, 4)
PLAIN = {
    "Adam": {"beta_1": 0.8, "beta_2": 0.95},
    "Adam with decay": {"weight_decay": 0.3},
    "Adam of clipped gradients": {"clipnorm": 0.1},
    "AdamW": {"learning_rate": SCHEDULE, "weight_decay": 0.3, "global_clipnorm": 0.3},
    "AdamW with averages": {"use_ema": True, "ema_momentum": 0.9, "clipvalue": 0.01},
    "AdamW of two batches": {"gradient_accumulation_steps": 2, "weight_decay": 0.3},
    "AdamW of scaled losses": {"loss_scale_factor": 8.0},
}


@pytest.fixture
def whole(monkeypatch):
    """The handles of weights updated by one operation, as they are traced."""
    import tensorflow as tf

    handles, own = [], tf.raw_ops.ResourceApplyAdam

    def recorded(**given):
        handles.append(given["var"])
        return own(**given)

    monkeypatch.setattr(tf.raw_ops, "ResourceApplyAdam", recorded)
    return handles


class Small(keras.Sequential):
    """Two layers, trained by steps as a student's are."""

    def train_step(self, *args, **kwargs):
        with tracing_step(self):
            return super().train_step(*args, **kwargs)


def _model(**others):
    keras.utils.set_random_seed(3)
    dense = keras.layers.Dense
    layers = [keras.layers.Flatten(), dense(6, "gelu", **others), dense(8, name="head", **others)]
    return Small([keras.Input(IMAGES.shape[1:]), *layers], name="model")


def _vit(**others):
    keras.utils.set_random_seed(3)
    return VisionTransformer(**{**families.TINY, "num_layers": 1, **others}, name="model")


def _compiled(optimizer, model=None, **others):
    model = model or _model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False, **others)
    # A trace that makes them is a trace too many.
    optimizer.build(model.trainable_variables)
    return model


def _plain(name):
    arguments = {"learning_rate": 1e-2, "epsilon": 1e-3, **PLAIN[name]}
    return getattr(keras.optimizers, name.split()[0])(**arguments)


def _fit(model):
    return model.fit(IMAGES, LABELS, batch_size=2, epochs=2, shuffle=False, verbose=0)


def _values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [(one.path, np.asarray(to_numpy(one), "float64")) for one in variables]


def _check_same(monkeypatch, make):
    """Check four steps of `fit` against those of Keras' own operations."""
    model = make()
    before = [to_numpy(weight).copy() for weight in model.trainable_variables]
    _fit(model)
    pairs = zip(model.trainable_variables, before, strict=True)
    assert any(np.abs(to_numpy(weight) - old).max() > 1e-3 for weight, old in pairs)
    monkeypatch.setattr(whole_updates, "_is_traced_singly", lambda model: False)
    other = make()
    _fit(other)
    for (path, ours), (_, theirs) in zip(_values(model), _values(other), strict=True):
        limit = 3e-4 * max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit, err_msg=path)
    return len(model.trainable_variables)


@pytest.mark.parametrize("name", PLAIN)
def test_an_update_is_that_of_keras(monkeypatch, whole, name):
    count = _check_same(monkeypatch, lambda: _compiled(_plain(name)))
    assert len(whole) == count


def test_a_model_is_updated_so(monkeypatch, whole):
    count = _check_same(monkeypatch, lambda: _compiled(_plain("AdamW"), _vit()))
    assert len(whole) == count


def test_weights_that_are_spared_keep_their_share(monkeypatch, whole):
    def make():
        model = _model()
        return _compiled(make_optimizer(model, 1e-2, 5.0), model)

    assert len(whole) == 0
    assert _check_same(monkeypatch, make) == len(whole)


def test_a_rate_for_each_layer_goes_into_the_operation(monkeypatch, whole):
    def make():
        model = _model()
        rates = {weight.path: 0.1 + 0.9 * (place % 3) for place, weight in enumerate(model.weights)}
        optimizer = make_optimizer(model, 1e-2, 0.5, rates=rates)
        assert isinstance(optimizer, AdamWByLayer)
        return _compiled(optimizer, model)

    assert _check_same(monkeypatch, make) == len(whole)


@pytest.mark.parametrize("others", [{"steps_per_execution": 2}, {"run_eagerly": True}])
def test_steps_taken_otherwise_are_the_same(monkeypatch, whole, others):
    """Eagerly the powers of Adam's decays are those of each step."""
    count = _check_same(monkeypatch, lambda: _compiled(_plain("AdamW"), **others))
    assert len(whole) == count * (4 if "run_eagerly" in others else 1)


def test_half_precision_is_scaled_and_updated_alike(monkeypatch, whole):
    count = _check_same(
        monkeypatch, lambda: _compiled(_plain("AdamW"), _model(dtype="mixed_float16"))
    )
    assert len(whole) == count


def test_frozen_weights_are_left(monkeypatch, whole):
    def make():
        model = _model()
        model.layers[1].trainable = False
        return _compiled(_plain("AdamW"), model)

    assert 0 < _check_same(monkeypatch, make) == len(whole) < len(_model().trainable_variables)


@pytest.mark.parametrize("decay", [0.3, np.float64(0.3), "variable"])
@pytest.mark.parametrize("others", [{}, {"run_eagerly": True}])
def test_a_decay_may_be_a_variable(monkeypatch, whole, decay, others):
    def make():
        optimizer = keras.optimizers.AdamW(1e-2, epsilon=1e-3)
        optimizer.weight_decay = keras.Variable(0.3) if decay == "variable" else decay
        return _compiled(optimizer, **others)

    assert len(whole) == 0
    assert _check_same(monkeypatch, make) <= len(whole)


def test_a_decay_that_is_set_in_a_step_stays(monkeypatch, whole):
    class Sets(Small):
        def compute_loss(self, *args, **kwargs):
            assert self.optimizer.get_config()["weight_decay"] is not None
            self.optimizer.weight_decay = 0.9
            return super().compute_loss(*args, **kwargs)

    def make():
        model = _model()
        model.__class__ = Sets
        return _compiled(_plain("AdamW"), model)

    assert _check_same(monkeypatch, make) == len(whole)
    model = make()
    _fit(model)
    assert model.optimizer.weight_decay == 0.9


def test_numbers_of_float64_are_not_rounded_to_float32(monkeypatch, whole):
    def make():
        return _compiled(_plain("Adam with decay"), _model(dtype="float64"))

    assert _check_same(monkeypatch, make) == len(whole)


def test_a_student_is_updated_so_too(whole):
    student = DistilledTraining(_vit(), "soft", _vit(attention="none"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    student.compile(_plain("AdamW"), loss, jit_compile=False)
    _fit(student)
    assert len(whole) == len(student.trainable_variables)


class Own(keras.optimizers.Adam):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(-gradient, variable, learning_rate)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.Adam(1e-2, amsgrad=True),
        lambda: keras.optimizers.Nadam(1e-2),
        lambda: Own(1e-2),
    ],
    ids=["amsgrad", "nadam", "derived"],
)
def test_another_update_is_left_as_it_is(monkeypatch, whole, make):
    _check_same(monkeypatch, lambda: _compiled(make()))
    assert whole == []


def test_an_update_that_somebody_put_there_is_called(whole):
    optimizer, called = keras.optimizers.Adam(1e-2), []

    def update(gradient, variable, learning_rate):
        called.append(variable)
        keras.optimizers.Adam.update_step(optimizer, gradient, variable, learning_rate)

    vars(optimizer)["update_step"] = update
    model = _compiled(optimizer)
    _fit(model)
    assert (len(called), whole) == (len(model.trainable_variables), [])
    assert vars(optimizer)["update_step"] is update


def test_what_xla_compiles_is_left_to_it(whole):
    model = _model()
    model.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=True)
    model.train_on_batch(IMAGES[:2], np.zeros((2, 8)))
    assert whole == []


def test_a_distributed_step_is_left_to_its_strategy(whole):
    import tensorflow as tf

    with tf.distribute.OneDeviceStrategy("cpu").scope():
        model = _compiled(_plain("AdamW"))
    model.fit(IMAGES, LABELS, batch_size=2, verbose=0)
    assert whole == []


def test_an_optimiser_is_as_it_was_after_a_step_that_failed(monkeypatch):
    optimizer = _plain("AdamW")
    model = _compiled(optimizer, run_eagerly=True)
    before = dict(vars(optimizer))

    def fail(*given, **named):
        assert optimizer.weight_decay == 0.3
        assert "update_step" in vars(optimizer)
        raise ArithmeticError("no")

    monkeypatch.setattr(model, "compute_loss", fail)
    with pytest.raises(ArithmeticError, match="no"):
        model.train_on_batch(IMAGES, LABELS)
    assert vars(optimizer).keys() == before.keys()
    assert optimizer.weight_decay == 0.3


@pytest.mark.parametrize("names", ["_OF_ADAM", "_OF_OPTIMIZERS"])
def test_without_the_private_names_the_updates_are_those_of_keras(monkeypatch, whole, names):
    monkeypatch.setattr(fitting, names, ("gone",))
    warn.cache_clear()
    model = _compiled(keras.optimizers.Adam(1e-2, weight_decay=0.1))
    with pytest.warns(UserWarning, match="takes longer"):
        model.train_on_batch(IMAGES, LABELS)
    assert whole == []
    warn.cache_clear()
