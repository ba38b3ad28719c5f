"""`fit` on JAX has weights of blocks that are alike side by side: the same values as one by one."""

import families
import keras
import numpy as np
import pytest
from breadth import spread
from keras.ops import convert_to_numpy as to_numpy

from kerasvit.models import CaiT, VisionTransformer
from kerasvit.models.steps import joined_state, side_by_side
from kerasvit.models.steps.layouts import Layout, Layouts
from kerasvit.models.steps.logits import LogitSteps
from kerasvit.private_names import fitting
from kerasvit.training.optimizers import make_optimizer

pytestmark = pytest.mark.backend

on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the other backends have no state apart"
)

IMAGES, LABELS = families.images_of(), np.arange(4)
DROPPING = {"drop_path_rate": 0.3, "dropout_rate": 0.1}
PLAIN = {
    "SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "SGD without slots": {"learning_rate": 0.1, "weight_decay": 0.1},
    "Adam": {"amsgrad": True, "clipnorm": 0.1},
    "AdamW": {"global_clipnorm": 0.3, "weight_decay": 0.2},
    "RMSprop": {"centered": True, "momentum": 0.5, "clipvalue": 0.01},
    "Adadelta": {"learning_rate": 1.0},
    "Adagrad": {"learning_rate": 0.1},
    "Adamax": {},
    "Nadam": {"weight_decay": 0.1},
    "Ftrl": {"learning_rate": 0.1, "l2_regularization_strength": 0.01},
    "Lion": {"learning_rate": 1e-3},
    "Lamb": {"weight_decay": 0.1},
}
# What changes a weight by others of its step, or keeps more than a weight's shape of it.
OTHERS = {
    "Adafactor": {},
    "Muon": {"exclude_layers": ["head"]},
    "AdamW with averages": {"use_ema": True, "ema_momentum": 0.9},
    "Adam of two batches": {"gradient_accumulation_steps": 2},
    "SGD with scaled losses": {"learning_rate": 0.1, "loss_scale_factor": 8.0},
}


@pytest.fixture
def joined(monkeypatch):
    """How many arrays of arrays each state had that was laid out side by side."""
    counts: list[int] = []
    inner = Layouts.join

    def counted(layouts, state):
        counts.append(len(layouts.weights.groups))
        return inner(layouts, state)

    monkeypatch.setattr(Layouts, "join", counted)
    return counts


def _optimizer(name):
    arguments = {**PLAIN, **OTHERS}[name]
    return getattr(keras.optimizers, name.split()[0])(**arguments)


def _model(family=VisionTransformer, **others):
    keras.utils.set_random_seed(3)
    arguments = {**families.TINY, "num_layers": 3, **others}
    return family(**arguments, name="model")


def _compiled(optimizer, **others):
    model = _model(**others)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def _fit(model, **others):
    arguments = {"batch_size": 2, "epochs": 2, "shuffle": False, "verbose": 0, **others}
    return model.fit(IMAGES, LABELS, **arguments).history


def _values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [(one.path, np.asarray(to_numpy(one), "float64")) for one in variables]


def _check_same(values, expected):
    assert len(values) == len(expected)
    for (path, ours), (_, theirs) in zip(values, expected, strict=True):
        limit = 3e-4 * max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit, err_msg=path)


def _one_by_one(monkeypatch):
    monkeypatch.setattr(LogitSteps, "steps_are_loops", False)


def _check_both(monkeypatch, make, train=_fit):
    model = make()
    model.optimizer.build(model.trainable_variables)
    before = model.get_weights()
    train(model)
    pairs = zip(model.get_weights(), before, strict=True)
    moved = [not np.array_equal(new, old) for new, old in pairs]
    assert sum(moved) > len(moved) / 3
    _one_by_one(monkeypatch)
    other = make()
    train(other)
    _check_same(_values(model), _values(other))


@on_jax
@pytest.mark.parametrize("name", spread(PLAIN, ["SGD", "AdamW", "Lamb"]))
def test_an_optimiser_does_what_it_does_to_weights_one_by_one(monkeypatch, joined, name):
    _check_both(monkeypatch, lambda: _compiled(_optimizer(name)))
    # Each weight of a block, once an epoch.
    assert joined == [len(_model().blocks[1].trainable_variables)] * 2


@on_jax
def test_random_numbers_are_those_of_weights_one_by_one(monkeypatch, joined):
    """A CaiT of blocks that drop: the first block drops no path, and has no such numbers."""
    adam = keras.optimizers.Adam
    _check_both(monkeypatch, lambda: _compiled(adam(0.01), family=CaiT, num_layers=4, **DROPPING))
    assert joined


def _layouts(optimizer):
    model = _compiled(optimizer)
    optimizer.build(model.trainable_variables)
    return side_by_side.layouts_of(model)


@on_jax
@pytest.mark.parametrize("name", OTHERS)
def test_other_optimisers_have_weights_one_by_one(name):
    assert _layouts(_optimizer(name)) is None


@on_jax
def test_a_class_of_somebody_else_has_weights_one_by_one():
    class Own(keras.optimizers.SGD):
        """Doubles the rate of one block, by the weight it is handed."""

        def update_step(self, gradient, variable, learning_rate):
            factor = 2 if "block_02" in variable.path else 1
            super().update_step(gradient, variable, learning_rate * factor)

    assert _layouts(keras.optimizers.SGD(0.1)) is not None
    assert _layouts(Own(0.1)) is None


@on_jax
def test_a_decay_that_spares_some_blocks_has_weights_one_by_one():
    model = _compiled(keras.optimizers.AdamW(0.01, weight_decay=5.0))
    model.optimizer.exclude_from_weight_decay(var_list=model.blocks[2].trainable_variables)
    model.optimizer.build(model.trainable_variables)
    assert side_by_side.layouts_of(model) is None


@on_jax
def test_the_recipes_optimiser_lies_side_by_side(monkeypatch, joined):
    def make():
        model = _model()
        schedule = keras.optimizers.schedules.CosineDecay(0.01, 8)
        optimizer = make_optimizer(model, schedule, weight_decay=0.3, clip_norm=0.5)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    _check_both(monkeypatch, make)
    assert joined


@on_jax
@pytest.mark.parametrize("precision", spread(["mixed_bfloat16", "bfloat16"], ["mixed_bfloat16"]))
def test_weights_keep_their_type(joined, precision):
    model = _compiled(keras.optimizers.AdamW(1e-3), dtype=precision)
    types = [(one.path, one.dtype, one.value.dtype) for one in model.variables]
    _fit(model)
    assert [(one.path, one.dtype, one.value.dtype) for one in model.variables] == types
    assert joined


@on_jax
def test_frozen_blocks_and_penalties_are_those_of_weights_one_by_one(monkeypatch, joined):
    def make():
        model = _model(num_layers=6)
        for block in model.blocks[:3]:
            block.trainable = False
        for block in model.blocks:
            block.mlp.dense_1.kernel.regularizer = keras.regularizers.L2(0.5)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        return model

    _check_both(monkeypatch, make)
    assert joined


class _Reader(keras.callbacks.Callback):
    """Reads, and at one step writes, weights in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        weight = self.model.blocks[2].mlp.dense_1.kernel
        assert np.isfinite(to_numpy(weight)).all()
        if batch == 0:
            weight.assign(weight + 1.0)


@on_jax
def test_callbacks_read_and_write_weights_in_the_middle_of_an_epoch(monkeypatch, joined):
    _check_both(
        monkeypatch,
        lambda: _compiled(keras.optimizers.Adam(0.01)),
        lambda model: _fit(model, callbacks=[_Reader()]),
    )
    assert len(joined) == 4


@on_jax
def test_batches_one_by_one_several_in_a_call_and_validation(monkeypatch, joined):
    def train(model):
        model.train_on_batch(IMAGES, LABELS)
        _fit(model, validation_data=(IMAGES, LABELS))
        model.train_on_batch(IMAGES, LABELS)
        model.evaluate(IMAGES, LABELS, verbose=0)
        model.blocks[1].trainable = False
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss, steps_per_execution=2)
        _fit(model)
        model.predict(IMAGES, verbose=0)

    _check_both(monkeypatch, lambda: _compiled(keras.optimizers.Adam(0.01)), train)
    # In the second `fit` no three blocks next to each other train.
    assert len(joined) == 2


@on_jax
def test_an_interrupted_epoch_leaves_the_weights_whole(joined):
    class Stops(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = _compiled(keras.optimizers.Adam(0.01))
    with pytest.raises(KeyboardInterrupt):
        _fit(model, callbacks=[Stops()])
    assert all(np.isfinite(values).all() for _, values in _values(model))
    assert joined
    _fit(model)


@on_jax
def test_a_step_of_somebody_else_sees_weights_one_by_one(joined):
    class Own(VisionTransformer):
        """Counts what a step is handed."""

        scores_in_steps = False
        handed = None

        def train_step(self, state, data):
            type(self).handed = len(state[0])
            return super().train_step(state, data)

    model = _compiled(keras.optimizers.Adam(0.01), family=Own)
    _fit(model)
    assert Own.handed == len(model.trainable_variables)
    assert not joined


@on_jax
def test_a_saved_state_is_that_of_weights_one_by_one(joined, tmp_path):
    model = _compiled(keras.optimizers.Adam(0.01))
    _fit(model)
    model.save(tmp_path / "model.keras")
    other = keras.models.load_model(tmp_path / "model.keras")
    pairs = zip(other.weights, model.weights, strict=True)
    assert all(np.array_equal(to_numpy(ours), to_numpy(theirs)) for ours, theirs in pairs)
    pairs = zip(other.optimizer.variables, model.optimizer.variables, strict=True)
    assert all(np.array_equal(to_numpy(ours), to_numpy(theirs)) for ours, theirs in pairs)
    assert joined


@on_jax
def test_a_layout_gives_back_what_it_was_given():
    layout = Layout(6, ((0, 3), (2, 5)))
    values = [np.full((2, 3), float(number)) for number in range(6)]
    joined = layout.join(list(values))
    assert [np.shape(one) for one in joined] == [(2, 3)] * 2 + [(2, 2, 3)] * 2
    for ours, theirs in zip(layout.split(joined), values, strict=True):
        assert np.array_equal(ours, theirs)


@on_jax
def test_the_counter_of_steps_counts_where_blocks_alone_train(monkeypatch):
    """Keras takes no step of an empty list of weights."""

    def make():
        model = _compiled(keras.optimizers.Adam(0.01))
        blocks = {id(weight) for block in model.blocks for weight in block.variables}
        for weight in model.trainable_variables:
            weight.trainable = id(weight) in blocks
        model.compile(keras.optimizers.Adam(0.01), model.loss)
        assert {id(weight) for weight in model.trainable_variables} <= blocks
        return model

    model = make()
    _fit(model)
    assert int(to_numpy(model.optimizer.iterations)) == 4
    _one_by_one(monkeypatch)
    other = make()
    _fit(other)
    _check_same(_values(model), _values(other))


@on_jax
def test_a_loss_calls_the_model_with_other_weights(monkeypatch, joined):
    def make():
        model = _model()
        others = [to_numpy(weight) * 0.5 for weight in model.trainable_variables]
        state = [to_numpy(weight) for weight in model.non_trainable_variables]

        def loss(labels, logits):
            calm = model.stateless_call(others, state, IMAGES[:2])[0][0]
            return keras.ops.sum(keras.ops.square(logits - calm), axis=-1)

        model.compile(keras.optimizers.SGD(0.01), loss)
        return model

    _check_both(monkeypatch, make)
    assert joined


@on_jax
def test_a_state_is_in_memory_once_between_epochs(joined):
    import gc

    import jax

    sizes = []

    class Weighs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            gc.collect()
            sizes.append(sum(array.nbytes for array in jax.live_arrays()))

    model = _compiled(keras.optimizers.Adam(0.01), hidden_dim=128, mlp_dim=512)
    model.optimizer.build(model.trainable_variables)
    own = sum(one.value.nbytes for one in [*model.variables, *model.optimizer.variables])
    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays())
    _fit(model, callbacks=[Weighs()])
    assert max(sizes) < before + own / 4
    assert joined


@on_jax
def test_a_generator_that_ends_leaves_nothing_behind(joined):
    """Its last step lays a state out, and finds no batch."""

    def batches():
        for _ in range(2):
            yield IMAGES, LABELS

    model = _compiled(keras.optimizers.Adam(0.01))
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(batches(), shuffle=False, verbose=0, callbacks=[_Reader()])
    assert joined
    for block in model.blocks[1:]:
        block.trainable = False
    model.compile(keras.optimizers.Adam(0.01), model.loss)
    model.evaluate(IMAGES, LABELS, verbose=0)
    model.train_on_batch(IMAGES, LABELS)
    _fit(model)


@on_jax
def test_an_optimiser_of_two_models_has_weights_one_by_one(joined):
    optimizer = keras.optimizers.Adam(0.01)
    models = [_compiled(optimizer), _compiled(optimizer)]
    _fit(models[0])
    assert len(joined) == 2
    _fit(models[1])
    assert len(joined) == 2


@on_jax
def test_a_block_in_several_places_has_one_gradient(monkeypatch, joined):
    class Same(VisionTransformer):
        """Goes through its first block three times."""

        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.blocks = [self.blocks[0]] * 3

    _check_both(monkeypatch, lambda: _compiled(keras.optimizers.Adam(0.01), family=Same))
    assert not joined


@on_jax
def test_blocks_that_have_no_config_are_left_alone(joined):
    class Plain(keras.layers.Layer):
        """Has no config, as its argument is no value."""

        def __init__(self, function):
            super().__init__()
            self.function = function

        def call(self, tokens):
            return self.function(tokens)

    class Own(VisionTransformer):
        """Has blocks that its own call goes through."""

        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.blocks = [Plain(lambda tokens: tokens) for _ in range(3)]

        def call(self, images, training=None):
            features = keras.ops.mean(images, axis=(1, 2))
            for block in self.blocks:
                features = block(features)
            return keras.ops.tile(features, (1, 2))[:, :5], {}, {}

    _fit(_compiled(keras.optimizers.SGD(0.1), family=Own))
    assert not joined


@on_jax
@pytest.mark.parametrize("name", ["update_step", "apply", "stateless_apply"])
def test_a_method_put_on_an_optimiser_is_called_for_each_weight(joined, name):
    optimizer = keras.optimizers.SGD(0.1)
    inner, calls = getattr(optimizer, name), []

    def counted(*arguments):
        calls.append(1)
        return inner(*arguments)

    setattr(optimizer, name, counted)
    _fit(_compiled(optimizer))
    assert calls
    assert not joined
    assert vars(optimizer)[name] is counted


@on_jax
def test_a_callback_that_reads_the_model_after_each_step_ends_the_laying_out(monkeypatch, joined):
    monkeypatch.setattr(joined_state, "_PATIENCE", 2)
    _check_both(
        monkeypatch,
        lambda: _compiled(keras.optimizers.Adam(0.01)),
        lambda model: _fit(model, callbacks=[_Reader()], batch_size=1),
    )
    assert len(joined) == 2


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has a state apart")
def test_other_backends_do_not_look_as_if_they_had_a_state_apart():
    assert not hasattr(_model(), "jax_state_sync")
    assert not hasattr(_model(), "compute_loss_and_updates")


@on_jax
def test_without_the_names_weights_are_one_by_one(monkeypatch, joined):
    monkeypatch.setattr(fitting, "_OF_STATES", ("_renamed", "_renamed_too"))
    fitting.warn.cache_clear()
    with pytest.warns(UserWarning, match="optimiser is traced or compiled weight by weight"):
        _fit(_compiled(keras.optimizers.Adam(0.01)))
    fitting.warn.cache_clear()
    assert not joined
