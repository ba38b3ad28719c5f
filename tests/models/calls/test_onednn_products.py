"""Products by oneDNN on PyTorch: in inference alone, unseen by none who looks, the same values."""

import keras
import numpy as np
import pytest

from kerasvit.layers.mlp import MLP
from kerasvit.layers.primitives import dense
from kerasvit.layers.primitives.activations import activation_function
from kerasvit.layers.primitives.dropout import Dropout
from kerasvit.layers.regularization import StochasticDepth
from kerasvit.private_names import products
from kerasvit.private_names.lookup import warn

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the other backends have one product each"
)
FUSED = ("gelu", "gelu_tanh")


@pytest.fixture
def made(monkeypatch):
    """The activations of the products that oneDNN makes, of any size."""
    if not products._linear():
        pytest.skip("needs AVX-512, and a PyTorch with oneDNN")
    activations, linear = [], products.linear

    def recorded(inputs, kernel, bias, activation=None):
        activations.append(activation)
        return linear(inputs, kernel, bias, activation)

    monkeypatch.setattr(products, "linear", recorded)
    monkeypatch.setattr(dense, "_FEWEST_PRODUCTS", 1)
    return activations


def _with_gradients(model, images):
    """Run without oneDNN: PyTorch keeps what a gradient would need."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(images))


def _infer(model, images, **others):
    import torch

    with torch.no_grad():
        return keras.tree.map_structure(keras.ops.convert_to_numpy, model(images, **others))


@pytest.mark.parametrize("family", ["ViT", "distilled", "CaiT"])
@pytest.mark.parametrize("mode", ["full", "cls", "none"])
def test_a_model_gives_the_same(tools, made, family, mode):
    model = tools.make(family, attention=mode)
    images = tools.random_images()
    expected = _with_gradients(model, images)
    assert made == []
    ours = _infer(model, images)
    assert made.count("gelu") >= len(model.blocks)
    assert made.count(None) >= 3 * len(model.blocks)
    for one, other in zip(keras.tree.flatten(ours), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("activation", [*FUSED, "quick_gelu", "silu", "relu"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_an_activation_is_that_of_its_name(made, tools, activation, use_bias):
    model = tools.make("ViT", activation=activation, use_qkv_bias=use_bias)
    images = tools.random_images()
    expected = _with_gradients(model, images)
    ours = _infer(model, images)
    assert ({*made} - {None} == {activation}) is (activation in FUSED)
    np.testing.assert_allclose(ours[0], expected[0], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("activation", FUSED)
def test_values_of_an_activation_are_as_exact_as_pytorchs(made, activation):
    import torch

    values = torch.linspace(-9, 9, 4001)[:, None]
    one = torch.ones((1, 1))
    with torch.no_grad():
        ours = products.linear(values, one, None, activation).double()
        expected = activation_function(activation)(values.double())
    assert (ours - expected).abs().max() < 3e-6


def test_numbers_of_one_token_and_of_odd_layouts(made):
    import torch

    generator = torch.Generator().manual_seed(0)
    kernel, bias = torch.randn(5, 7, generator=generator), torch.randn(7, generator=generator)
    whole = torch.randn(4, 5, 3, generator=generator)
    with torch.no_grad():
        for inputs in (whole.permute(2, 0, 1), whole[:1, :, 0], whole[:0, :, 0], whole[0, :, 0]):
            ours = products.linear(inputs, kernel, bias)
            expected = inputs.double() @ kernel.double() + bias.double()
            torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-5)


def test_a_small_product_is_left_to_pytorch(monkeypatch, made, tools):
    monkeypatch.setattr(dense, "_FEWEST_PRODUCTS", 10**9)
    _infer(tools.make("ViT"), tools.random_images())
    assert made == []


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "mixed_bfloat16"])
def test_other_dtypes_are_left_to_pytorch(made, tools, dtype):
    model = tools.make("ViT", dtype=dtype)
    _infer(model, tools.random_images().astype("float32"))
    assert made == []


def test_training_and_gradients_of_images_are_left_to_pytorch(made, tools):
    import torch

    model, images = tools.make("ViT"), torch.from_numpy(tools.random_images())
    _infer(model, images, training=True)
    images.requires_grad_()
    model(images)[0].sum().backward()
    assert images.grad.abs().max() > 0
    assert made == []


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_transforms_of_functions_see_all_operations(made, tools):
    import torch

    model, images = tools.make("ViT"), torch.from_numpy(tools.random_images())
    direction = torch.ones_like(images)

    def logits(images):
        return model(images)[0]

    def slope():
        return torch.func.jvp(logits, (images,), (direction,))[1]

    expected = slope()
    with torch.no_grad():
        forward = slope()
        torch.testing.assert_close(forward, expected)
        assert forward.abs().max() > 0
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(images, direction)
            tangent = torch.autograd.forward_ad.unpack_dual(logits(dual)).tangent
        torch.testing.assert_close(tangent, expected)
        mapped = torch.func.vmap(logits)(images[:, None])
        assert made == []
        torch.testing.assert_close(mapped[:, 0], logits(images), rtol=2e-5, atol=2e-5)
    assert made != []


def test_who_counts_or_records_operations_sees_all(made, tools):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model, images = tools.make("ViT", attention="none"), torch.from_numpy(tools.random_images())
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            model(images)
        width, tokens = model.hidden_dim, images.shape[0]
        assert counter.get_total_flops() > 2 * tokens * 12 * width**2 * len(model.blocks)
        assert "mkldnn" not in str(torch.export.export(model, (images,)).graph)
    assert made == []


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_who_switches_it_off_has_it_off(made, tools):
    import torch

    with torch.backends.mkldnn.flags(enabled=False):
        _infer(tools.make("ViT"), tools.random_images())
    assert made == []


def test_hooks_see_what_a_layer_gives(made, tools):
    model, images, seen = tools.make("ViT"), tools.random_images(), []
    layer = model.blocks[0].mlp.dense_1
    layer.register_forward_hook(lambda layer, inputs, outputs: seen.append(outputs.min().item()))
    _infer(model, images)
    # No value of GELU is below -0.17.
    assert seen[0] < -0.2
    assert made.count("gelu") == len(model.blocks) - 1


def test_calls_of_ones_own_count(made, tools):
    model, images = tools.make("ViT"), tools.random_images()
    plain = _infer(model, images)[0]
    mlp, called = model.blocks[0].mlp, []
    own = mlp.dense_1.call
    mlp.dense_1.call = lambda inputs, **options: called.append("dense") or own(inputs, **options)
    drop = model.blocks[0].mlp_drop
    drop.call = lambda tokens, **options: called.append("drop") or 0 * tokens
    assert np.abs(_infer(model, images)[0] - plain).max() > 1e-3
    assert called == ["dense", "drop"]


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_what_is_no_number_stays_none(made, activation, number):
    import torch

    mlp = MLP(8, activation=activation)
    mlp.build((None, None, 4))
    mlp.dense_1.bias.assign(np.full(8, number))
    layer = mlp.dense_1
    with torch.no_grad():
        inputs = torch.zeros((3, 4))
        expected = mlp._activate(layer(inputs))
        if products.has_activation(activation):
            ours = products.linear(inputs, layer.kernel.value, layer.bias.value, activation)
            assert torch.equal(ours.isnan(), expected.isnan())
            torch.testing.assert_close(ours, expected, equal_nan=True)
    assert products.has_activation(activation) is (activation != "relu")


def test_autocast_multiplies_in_its_own_type(made, tools):
    import torch

    model, images = tools.make("ViT"), torch.from_numpy(tools.random_images())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(images)[0].dtype is torch.bfloat16
    assert made == []


def test_a_scope_inside_a_call_gives_weights_other_values(made, tools):
    model, images = tools.make("ViT"), tools.random_images()
    plain = _infer(model, images)[0]
    kernel, own = model.blocks[0].mlp.dense_1.kernel, model.blocks[0].call

    def call(*args, **kwargs):
        with keras.StatelessScope(state_mapping=[(kernel, kernel.value * 0)]):
            return own(*args, **kwargs)

    model.blocks[0].call = call
    assert np.abs(_infer(model, images)[0] - plain).max() > 1e-4


def test_an_activation_of_ones_own_counts(made, tools):
    model, images = tools.make("ViT"), tools.random_images()
    plain = _infer(model, images)[0]
    model.blocks[0].mlp._activate = keras.ops.zeros_like
    assert np.abs(_infer(model, images)[0] - plain).max() > 1e-4
    assert made.count("gelu") == 2 * len(model.blocks) - 1


class Trebled(dense.Dense):
    @property
    def kernel(self):
        return super().kernel * 3


@pytest.mark.parametrize("wants_gradient", [True, False])
def test_a_kernel_of_ones_own_counts(made, tools, wants_gradient):
    model, images = tools.make("ViT"), tools.random_images()
    run = _with_gradients if wants_gradient else _infer
    plain = run(model, images)[0]
    model.blocks[0].mlp.dense_1.__class__ = Trebled
    assert np.abs(run(model, images)[0] - plain).max() > 1e-4


class AlwaysDrops(Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class Always:
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class DropsByAPart(Always, Dropout):
    pass


def test_a_part_of_a_layer_that_drops_in_inference_counts(made, tools):
    assert not DropsByAPart.only_in_training


def test_dropping_that_is_asked_for_by_place_or_put_there_drops(monkeypatch, made, tools):
    model, images = tools.make("ViT", dropout_rate=0.9), tools.random_images()
    plain = _infer(model, images)[0]
    mlp = model.blocks[0].mlp
    own = mlp.call
    mlp.call = lambda tokens, training=None: mlp.dropout(own(tokens), True)
    assert np.abs(_infer(model, images)[0] - plain).max() > 1e-4
    del mlp.call
    monkeypatch.setattr(Dropout, "call", lambda layer, inputs, training=None: 0 * inputs)
    assert np.abs(_infer(model, images)[0] - plain).max() > 1e-4


def test_losses_of_activities_are_kept(made, tools):
    model, images = tools.make("ViT", dropout_rate=0.5), tools.random_images()
    model.blocks[0].mlp.dropout.activity_regularizer = keras.regularizers.L2(1.0)
    _infer(model, images)
    assert float(sum(model.losses)) > 0


def test_a_derived_layer_that_drops_in_inference_drops(made, tools):
    assert Dropout.only_in_training
    assert StochasticDepth.only_in_training
    assert not AlwaysDrops.only_in_training
    model, images = tools.make("ViT", dropout_rate=0.9), tools.random_images()
    plain = _infer(model, images)[0]
    model.blocks[0].mlp.dropout.__class__ = AlwaysDrops
    assert np.abs(_infer(model, images)[0] - plain).max() > 1e-4


def test_matrices_of_low_rank_are_in_the_kernel(made, tools):
    model, images = tools.make("ViT"), tools.random_images()
    layer = model.blocks[0].mlp.dense_1
    layer.enable_lora(2)
    for matrix in (layer.lora_kernel_a, layer.lora_kernel_b):
        matrix.assign(np.random.default_rng(0).normal(size=matrix.shape))
    expected = _with_gradients(model, images)[0]
    np.testing.assert_allclose(_infer(model, images)[0], expected, rtol=2e-5, atol=2e-5)
    assert "gelu" in made


def test_a_layer_alone_is_as_in_a_model(made):
    mlp = MLP(8)
    tokens = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    assert mlp(tokens).shape == (2, 3, 4)
    assert made == []


def test_a_processor_without_avx_512_is_left_to_pytorch(monkeypatch, made, tools):
    import torch

    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
        products._linear.cache_clear()
        _infer(tools.make("ViT"), tools.random_images())
    products._linear.cache_clear()
    assert made == []


@pytest.mark.parametrize("missing", ["_LINEAR", "_WATCHERS"])
def test_without_a_private_name_pytorch_multiplies(monkeypatch, made, tools, missing):
    model, images = tools.make("ViT"), tools.random_images()
    gone = "gone" if missing == "_LINEAR" else (("torch._C", "gone"),)
    monkeypatch.setattr(products, missing, gone)
    for cached in (products._linear, products._watchers, warn):
        cached.cache_clear()
    with pytest.warns(UserWarning, match="up to a fifth slower"):
        _infer(model, images)
    assert made == []
    monkeypatch.undo()
    for cached in (products._linear, products._watchers, warn):
        cached.cache_clear()
