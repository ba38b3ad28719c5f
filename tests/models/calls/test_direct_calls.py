"""Layers called directly on PyTorch: the same results, and Keras' way wherever it does more."""

import keras
import numpy as np
import pytest

from kerasvit.layers import direct_calls

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="PyTorch alone runs eagerly at each call"
)
DROPOUTS = {"dropout_rate": 0.5, "attention_dropout_rate": 0.5, "drop_path_rate": 0.5}
FAMILIES = ("ViT", "distilled", "CaiT")


@pytest.fixture
def called(monkeypatch):
    """The names of the layers that are called Keras' way, as they are."""
    names, call = [], keras.layers.Layer.__call__

    def recorded(layer, *args, **kwargs):
        names.append(layer.name)
        return call(layer, *args, **kwargs)

    monkeypatch.setattr(keras.layers.Layer, "__call__", recorded)
    return names


def _the_long_way(monkeypatch, function):
    with monkeypatch.context() as patch:
        patch.setattr(direct_calls, "_torch_pass", lambda *_: None)
        return function()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "mixed_bfloat16"])
@pytest.mark.parametrize("mode", ["full", "cls", "none"])
def test_a_pass_is_bit_identical_to_keras_way(tools, monkeypatch, called, family, dtype, mode):
    model = tools.make(family, dtype=dtype, attention=mode, **DROPOUTS)
    images = tools.random_images()
    expected = _the_long_way(monkeypatch, lambda: tools.run(model, images))
    assert len(called) > 20
    called.clear()
    ours = tools.run(model, images)
    assert called == [model.name]
    for one, other in zip(keras.tree.flatten(ours), keras.tree.flatten(expected), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_those_of_keras_way(tools, monkeypatch, called, family, training):
    dropouts = DROPOUTS if training else {}
    model, images = tools.make(family, **dropouts), tools.random_images()
    generators = [variable for variable in model.variables if "seed_generator" in variable.path]

    def gradients():
        keras.utils.set_random_seed(7)  # PyTorch drops by its global generator
        for generator in generators:
            generator.assign([1, 2])
        model.zero_grad()
        model(images, training=training)[0].square().sum().backward()
        grads = {weight.path: weight.value.grad for weight in model.trainable_weights}
        return {path: grad.numpy().copy() for path, grad in grads.items() if grad is not None}

    assert bool(generators) is training
    expected = _the_long_way(monkeypatch, gradients)
    called.clear()
    ours = gradients()
    assert called == [model.name]
    assert ours.keys() == expected.keys()
    for path, grad in ours.items():
        np.testing.assert_allclose(grad, expected[path], rtol=1e-5, atol=1e-6)


def test_a_pass_in_training_drops_where_keras_tells_the_layers(tools, called):
    model = tools.make("ViT", **DROPOUTS)
    images = tools.random_images()
    outer = keras.Sequential([keras.Input(images.shape[1:]), _Logits(model)])
    plain = tools.run(outer, images)
    first, second = (tools.run(outer, images, training=True) for _ in range(2))
    assert np.abs(first - second).max() > 0
    called.clear()
    assert np.array_equal(tools.run(outer, images), plain)
    assert model.name in called
    assert "attention_norm" not in called


class _Logits(keras.layers.Layer):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, images):
        return self.model(images)[0]


def test_hooks_are_called(tools, models, images):
    layer, seen = models["ViT"].blocks[1].mlp.dense_1, []
    handles = [
        layer.register_forward_hook(lambda *_: seen.append("after")),
        layer.register_forward_pre_hook(lambda *_: seen.append("before")),
    ]
    models["ViT"](images)
    for handle in handles:
        handle.remove()
    models["ViT"](images)
    assert seen == ["before", "after"]


def test_hooks_of_all_modules_are_called(models, images):
    import torch

    seen = set()
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda layer, *_: seen.add(layer.name)
    )
    models["CaiT"](images)
    handle.remove()
    assert {"mixing_before", "dense_2"} - seen == {"mixing_before"}


def test_quantized_layers_and_layers_of_another_dtype_go_keras_way(tools, called):
    model, images = tools.make("ViT"), tools.random_images()
    before = tools.run(model, images)[0]
    model.blocks[0].mlp.dense_1.quantize("int8")
    model.blocks[1].mlp_norm.dtype_policy = "mixed_bfloat16"
    called.clear()
    after = tools.run(model, images)[0]
    # What comes out of the second layer in bfloat16 is cast for the one behind it, and not before.
    assert called == [model.name, "dense_1", "mlp_norm", "mlp"]
    assert 0 < np.abs(after - before).max() < 0.2 * np.abs(before).max()


def test_a_call_of_ones_own_counts(tools, models, images):
    model = tools.make("ViT")
    block, plain = model.blocks[-1], tools.run(model, images)[0]
    block.call = lambda tokens, **options: (0 * tokens, None)
    replaced = tools.run(model, images)[0]
    bias = tools.run(model.read_out, keras.ops.zeros((2, 7, 12)))
    assert np.abs(replaced - plain).max() > 0.1
    np.testing.assert_allclose(replaced, bias, atol=1e-6)


def test_what_a_layer_is_told_of_training_reaches_the_layers_inside(tools, images):
    model = tools.make("ViT", dropout_rate=0.5)
    block = model.blocks[0]
    # This leaves it to Keras to hand `training` on.
    block.mlp.call = lambda tokens, training=None: block.mlp.dropout(tokens)
    block.call = lambda tokens, **_: (block.mlp(tokens, training=True), None)
    first, second = (tools.run(model, images)[0] for _ in range(2))
    assert np.abs(first - second).max() > 0.01

    told = []
    block.mlp.dropout.call = lambda tokens, training=None: (told.append(training), tokens)[1]
    for training in (True, False, None):
        block.call = lambda tokens, how=training, **_: (block.mlp(tokens, training=how), None)
        model(images, training=True)
    assert told == [True, False, True]


@pytest.mark.parametrize("family", [*FAMILIES, "XCiT"])
def test_weights_that_a_scope_replaces_count(tools, images, family):
    model, other = tools.make(family), tools.make(family)
    random = np.random.default_rng(5)
    for weight in other.trainable_weights:
        weight.assign(random.normal(0.2, 0.3, weight.shape))
    pairs = zip(model.weights, (weight.value for weight in other.weights), strict=True)
    with keras.StatelessScope(list(pairs)):
        replaced = tools.run(model, images)[0]
    assert np.array_equal(replaced, tools.run(other, images)[0])
    assert not np.array_equal(replaced, tools.run(model, images)[0])


@pytest.mark.parametrize("family", [*FAMILIES, "XCiT"])
def test_a_single_weight_that_a_scope_replaces_counts(tools, images, family):
    """Each kind of weight for itself, the others being left out or given as they are."""
    model = tools.make(family)
    plain = tools.run(model, images)[0]
    values = [weight.value for weight in model.trainable_variables]
    state = [weight.value for weight in model.non_trainable_variables]
    for index, weight in enumerate(model.trainable_variables):
        held = weight.value.detach().clone()
        other = (held + 0.5).requires_grad_()
        replaced = [*values[:index], other, *values[index + 1 :]]
        logits = model.stateless_call(replaced, state, images, training=False)[0][0]
        with keras.StatelessScope([(weight, other)]):
            scoped = model(images)[0]
        weight.assign(other)
        expected = tools.run(model, images)[0]
        weight.assign(held)
        for given in (logits, scoped):
            assert np.array_equal(keras.ops.convert_to_numpy(given), expected), weight.path
        if not np.array_equal(plain, expected):
            logits.square().sum().backward()
            assert other.grad is not None


def test_a_position_projection_of_low_rank_is_called(tools, images):
    model = tools.make("XCiT")
    before = tools.run(model, images)[0]
    model.position.projection.enable_lora(2)
    assert np.array_equal(tools.run(model, images)[0], before)


def test_weights_of_a_layer_of_another_dtype_are_cast(tools, images):
    model = tools.make("ViT")
    before = tools.run(model, images)[0]
    model.blocks[0].mlp.dense_1.dtype_policy = "mixed_bfloat16"
    after = tools.run(model, images)[0]
    assert 0 < np.abs(after - before).max() < 0.2 * np.abs(before).max()


def test_a_model_without_a_device_computes_shapes(tools):
    model = tools.make("ViT")
    with keras.device("meta"):
        logits = model(keras.ops.zeros((2, *model.image_shape)))[0]
    assert (logits.device.type, tuple(logits.shape)) == ("meta", (2, model.num_classes))
