import keras
import numpy as np
import pytest
from keras import ops

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.training.by_layer import AdamWByLayer
from kerasvit.training.optimizers import (
    averaged,
    is_decayed,
    make_optimizer,
)


@pytest.fixture
def model():
    return kerasvit.VisionTransformer(
        image_shape=(8, 8, 3),
        patch_size=4,
        num_classes=3,
        hidden_dim=16,
        num_layers=2,
        num_heads=2,
        mlp_dim=16,
        num_registers=1,
    )


def _step(optimizer, model, gradient=1.0):
    """Apply one gradient, the same for every weight; return weights before and after."""
    before = {v.path: ops.convert_to_numpy(v).copy() for v in model.trainable_variables}
    gradients = [ops.full(v.shape, gradient, v.dtype) for v in model.trainable_variables]
    optimizer.apply(gradients, model.trainable_variables)
    after = {v.path: ops.convert_to_numpy(v).copy() for v in model.trainable_variables}
    return before, after


def test_decay_concerns_the_matrices_alone(model):
    decayed = {v.path.split("/", 1)[1] for v in model.trainable_variables if is_decayed(v)}
    assert "patch_embedding/projection/kernel" in decayed
    assert "sa_ffn_block_00/mlp/dense_1/kernel" in decayed
    assert "head/kernel" in decayed
    spared = ("bias", "gamma", "beta", "tokens", "embedding")
    assert not [path for path in decayed if path.endswith(spared)]


@pytest.mark.backend
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_decay_takes_its_share_off_matrices_and_spares_the_rest(model, name):
    optimizer = make_optimizer(model, 0.1, 0.5, name=name, adam_weight_decay=0.25)
    before, after = _step(optimizer, model, 0.0)
    for variable in model.trainable_variables:
        layers = variable.path.split("/")
        share = 0.0 if not is_decayed(variable) else 0.05
        if name == "muon" and share and {"head", "patch_embedding"} & set(layers):
            share = 0.025
        expected = before[variable.path] * (1 - share)
        np.testing.assert_allclose(after[variable.path], expected, rtol=1e-5, err_msg=variable.path)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["adamw", "muon", "lamb"])
def test_rates_scale_the_step_of_each_weight(model, name):
    weights = model.get_weights()
    half = next(v.path for v in model.trainable_variables if v.path.endswith("dense_1/kernel"))
    still = next(v.path for v in model.trainable_variables if v.path.endswith("dense_2/kernel"))
    before, plain = _step(make_optimizer(model, 0.01, 0.1, name=name), model)
    model.set_weights(weights)
    rates = {half: 0.5, still: 0.0}
    _, scaled = _step(make_optimizer(model, 0.01, 0.1, rates, name=name), model)
    for path, start in before.items():
        factor = rates.get(path, 1.0)
        # Decay comes before the step, so that their product is off by its square.
        np.testing.assert_allclose(
            scaled[path] - start, factor * (plain[path] - start), atol=2e-5, err_msg=path
        )


@pytest.mark.backend
@pytest.mark.parametrize("name", ["adamw", "muon", "lamb"])
@pytest.mark.parametrize("accumulation", [None, 2])
def test_rates_scale_the_decay_of_each_weight_and_none_is_taken_twice(model, name, accumulation):
    kernels = {"sa_ffn_block_00/mlp/dense_1": 0.5, "sa_ffn_block_01/mlp/dense_2": 0.0, "head": 0.25}
    rates = {f"{model.name}/{layer}/kernel": rate for layer, rate in kernels.items()}
    options = {"name": name, "adam_weight_decay": 0.25, "accumulation": accumulation}
    optimizer = make_optimizer(model, 0.1, 0.5, rates, **options)
    for _ in range((accumulation or 1) - 1):
        _step(optimizer, model, 0.0)
    before, after = _step(optimizer, model, 0.0)
    for variable in model.trainable_variables:
        decay = 0.5 if is_decayed(variable) else 0.0
        if name == "muon" and decay and {"head", "patch_embedding"} & set(variable.path.split("/")):
            decay = 0.25
        share = 0.1 * decay * rates.get(variable.path, 1.0)
        expected = before[variable.path] * (1 - share)
        np.testing.assert_allclose(after[variable.path], expected, rtol=2e-6, err_msg=variable.path)


@pytest.mark.backend
def test_two_layers_of_other_rates_move_by_their_rates_in_fit(model):
    rates = {variable.path: 0.5 for variable in model.trainable_variables if "_00" in variable.path}
    optimizer = make_optimizer(model, 1e-3, 0.0, rates)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = {v.path: ops.convert_to_numpy(v).copy() for v in model.trainable_variables}
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    model.fit(images, np.arange(4) % 3, batch_size=4, verbose=0)
    for variable in model.trainable_variables:
        if not variable.path.endswith("mlp/dense_1/kernel"):
            continue
        # Adam's first step is the learning rate, whatever the gradient.
        moved = np.abs(ops.convert_to_numpy(variable) - before[variable.path])
        expected = 1e-3 * rates.get(variable.path, 1.0)
        np.testing.assert_allclose(np.median(moved), expected, rtol=1e-2, err_msg=variable.path)


def test_spared_weights_are_given_by_themselves(model):
    optimizer = AdamWByLayer(weight_decay=0.1)
    with pytest.raises(UsageError, match="var_list"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_decays_survive_the_config(model):
    path = model.trainable_variables[0].path
    options = {"name": "muon", "adam_weight_decay": 0.25}
    optimizer = make_optimizer(model, 0.01, 0.125, {path: 0.5}, **options)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.decays == {"weight_decay": 0.125, "adam_weight_decay": 0.25}


def test_rates_survive_the_config(model):
    path = model.trainable_variables[0].path
    optimizer = make_optimizer(model, 0.01, rates={path: 0.5})
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.rates == {path: 0.5}


@pytest.mark.backend
def test_long_gradients_are_clipped_to_one_global_norm(model):
    optimizer = make_optimizer(model, 1.0, 0.0, clip_norm=1.0)
    clipped = optimizer._clip_gradients([ops.ones((30, 30)), ops.ones((10, 10))])
    total = sum(float(ops.sum(ops.square(one))) for one in clipped)
    assert total == pytest.approx(1.0, rel=1e-5)


@pytest.mark.backend
def test_average_follows_the_weights_and_is_lent_to_the_model(model):
    optimizer = make_optimizer(model, 0.1, 0.0, ema_momentum=0.75)
    model.compile(optimizer, "mse")
    weight = model.trainable_variables[0]
    steps = []
    for _ in range(3):
        _, after = _step(optimizer, model)
        steps.append(after[weight.path])
    # The first average is the weight itself.
    expected = steps[0]
    for step in steps[1:]:
        expected = 0.75 * expected + 0.25 * step
    with averaged(model):
        np.testing.assert_allclose(ops.convert_to_numpy(weight), expected, rtol=1e-5)
    np.testing.assert_array_equal(ops.convert_to_numpy(weight), steps[-1])


@pytest.mark.backend
def test_a_lent_average_survives_an_evaluation_and_the_steps_after_it(model):
    model.compile(make_optimizer(model, 0.1, 0.0, ema_momentum=0.75), "mse")
    inputs = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    targets = np.zeros((4, 3), "float32")
    for _ in range(2):
        model.fit(inputs, targets, verbose=0)
        with averaged(model):
            first = model.evaluate(inputs, targets, verbose=0)
            lent = [weight.copy() for weight in model.get_weights()]
        with averaged(model):
            assert model.evaluate(inputs, targets, verbose=0) == pytest.approx(first)
            for weight, before in zip(model.get_weights(), lent, strict=True):
                np.testing.assert_array_equal(weight, before)


@pytest.mark.backend
def test_gradients_of_several_batches_make_one_step(model):
    optimizer = make_optimizer(model, 0.1, 0.0, accumulation=2)
    before, after = _step(optimizer, model)
    assert all(np.array_equal(before[path], after[path]) for path in before)
    before, after = _step(optimizer, model)
    assert not any(np.array_equal(before[path], after[path]) for path in before)


def test_unknown_names_are_refused(model):
    with pytest.raises(UsageError, match="adamw, lamb, muon"):
        make_optimizer(model, 0.1, name="sgd")
    with pytest.raises(UsageError, match="layer_wise_rates"):
        make_optimizer(model, 0.1, rates={"other_model/kernel": 0.5})


def test_muon_leaves_the_table_of_relative_biases_to_adam_which_does_not_decay_it():
    model = kerasvit.VisionTransformer(
        image_shape=(8, 8, 3),
        patch_size=4,
        num_classes=3,
        hidden_dim=16,
        num_layers=1,
        num_heads=2,
        mlp_dim=16,
        use_relative_position_bias=True,
        position_embedding="none",
    )
    optimizer = make_optimizer(model, 0.1, 0.5, name="muon", adam_weight_decay=0.25)
    before, after = _step(optimizer, model)
    (table,) = [path for path in before if path.endswith("relative_bias/table")]
    np.testing.assert_allclose(before[table] - after[table], 0.1, rtol=1e-3)
