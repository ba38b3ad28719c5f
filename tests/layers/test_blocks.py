"""The blocks against timm's, with every weight random, and stochastic depth of their branches."""

import functools

import numpy as np
import pytest

from kerasvit.layers import ClassAttentionBlock, EncoderBlock, LayerScaleBlock

BLOCKS = (EncoderBlock, LayerScaleBlock, ClassAttentionBlock)
WIDTH, LENGTH, MLP_DIM = 12, 16, 20
SHAPE = (2, LENGTH, WIDTH)


def _arguments(block, tools, batch=2):
    """Random call arguments of a block: tokens, or a class token and patches."""
    tokens = tools.random_tokens(batch, LENGTH, WIDTH)
    return (tokens[:, :1], tokens[:, 1:]) if block is ClassAttentionBlock else (tokens,)


def _copy_frame(tools, block, reference):
    """Copy what all blocks share: norms, MLP and projection."""
    tools.copy_norm(block.attention_norm, reference.norm1)
    tools.copy_norm(block.mlp_norm, reference.norm2)
    tools.copy_dense(block.mlp.dense_1, reference.mlp.fc1)
    tools.copy_dense(block.mlp.dense_2, reference.mlp.fc2)
    tools.copy_dense(block.attention.projection, reference.attn.proj)


def _copy_scale(tools, layer, parameter):
    import torch

    with torch.no_grad():
        parameter.copy_(torch.tensor(tools.to_numpy(layer.gamma)))


def _close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.fixture
def norm_layer():
    import torch

    return functools.partial(torch.nn.LayerNorm, eps=1e-3)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("batch", "mlp_type", "scale", "use_qk_norm"),
    [
        (1, "mlp", None, False),
        (2, "mlp", None, False),
        (2, "mlp", 0.1, True),
        (2, "gated", None, True),
        (2, "gated", 0.1, False),
    ],
)
def test_encoder_block_equals_timms(tools, timm, norm_layer, batch, mlp_type, scale, use_qk_norm):
    block = EncoderBlock(
        3,
        MLP_DIM,
        mlp_type=mlp_type,
        activation="gelu",
        layer_scale_init_value=scale,
        layer_norm_epsilon=1e-3,
        use_qk_norm=use_qk_norm,
    )
    tools.built(block, SHAPE)
    mlp = {"mlp_ratio": MLP_DIM / WIDTH}
    if mlp_type == "gated":
        mlp = {"mlp_ratio": 2 * MLP_DIM / WIDTH, "mlp_layer": timm.layers.SwiGLUPacked}
    reference = timm.models.vision_transformer.Block(
        WIDTH,
        3,
        qkv_bias=True,
        qk_norm=use_qk_norm,
        init_values=scale,
        norm_layer=norm_layer,
        **mlp,
    )
    _copy_frame(tools, block, reference)
    tools.copy_dense(block.attention.qkv, reference.attn.qkv)
    if use_qk_norm:
        tools.copy_norm(block.attention.query_norm, reference.attn.q_norm)
        tools.copy_norm(block.attention.key_norm, reference.attn.k_norm)
    if scale:
        _copy_scale(tools, block.attention_scale, reference.ls1.gamma)
        _copy_scale(tools, block.mlp_scale, reference.ls2.gamma)
    arguments = _arguments(EncoderBlock, tools, batch)
    _close(tools.to_numpy(block(*arguments)[0]), tools.run_torch(reference, *arguments))


@pytest.mark.backend
@pytest.mark.parametrize("batch", [1, 2])
def test_layer_scale_block_equals_timms(tools, timm, norm_layer, batch):
    block = LayerScaleBlock(3, MLP_DIM, layer_scale_init_value=0.1, layer_norm_epsilon=1e-3)
    tools.built(block, SHAPE)
    reference = timm.models.cait.LayerScaleBlock(
        WIDTH, 3, mlp_ratio=MLP_DIM / WIDTH, qkv_bias=True, norm_layer=norm_layer
    )
    _copy_frame(tools, block, reference)
    tools.copy_dense(block.attention.qkv, reference.attn.qkv)
    tools.copy_dense(block.attention.mixing_before, reference.attn.proj_l)
    tools.copy_dense(block.attention.mixing_after, reference.attn.proj_w)
    _copy_scale(tools, block.attention_scale, reference.gamma_1)
    _copy_scale(tools, block.mlp_scale, reference.gamma_2)
    arguments = _arguments(LayerScaleBlock, tools, batch)
    _close(tools.to_numpy(block(*arguments)[0]), tools.run_torch(reference, *arguments))


@pytest.mark.backend
@pytest.mark.parametrize("batch", [1, 2])
def test_class_attention_block_equals_timms(tools, timm, norm_layer, batch):
    block = ClassAttentionBlock(3, MLP_DIM, layer_scale_init_value=0.1, layer_norm_epsilon=1e-3)
    tools.built(block, SHAPE)
    reference = timm.models.cait.LayerScaleBlockClassAttn(
        WIDTH, 3, mlp_ratio=MLP_DIM / WIDTH, qkv_bias=True, norm_layer=norm_layer
    )
    reference.attn.fused_attn = False
    _copy_frame(tools, block, reference)
    for ours, theirs in {"query": "q", "key": "k", "value": "v"}.items():
        tools.copy_dense(getattr(block.attention, ours), getattr(reference.attn, theirs))
    _copy_scale(tools, block.attention_scale, reference.gamma_1)
    _copy_scale(tools, block.mlp_scale, reference.gamma_2)
    class_token, patches = _arguments(ClassAttentionBlock, tools, batch)
    expected = tools.run_torch(reference, patches, class_token)
    _close(tools.to_numpy(block(class_token, patches)[0]), expected)


@pytest.mark.parametrize("block_type", BLOCKS)
def test_scores_can_be_left_out(tools, block_type):
    block = tools.built(block_type(3, MLP_DIM), SHAPE)
    arguments = _arguments(block_type, tools)
    outputs, nothing = block(*arguments, score_rows=0)
    assert nothing is None
    expected = tools.to_numpy(block(*arguments)[0])
    np.testing.assert_allclose(tools.to_numpy(outputs), expected, atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("block_type", BLOCKS)
def test_stochastic_depth_drops_or_doubles_each_branch_of_each_sample(tools, block_type):
    block = tools.built(block_type(3, MLP_DIM, drop_path_rate=0.5), SHAPE)
    arguments = _arguments(block_type, tools)
    outputs = [tools.to_numpy(block(*arguments, training=True)[0]) for _ in range(40)]
    tokens = np.concatenate(arguments, axis=1)
    attention = tools.to_numpy(block.attention(block.attention_norm(tokens))[0])
    options = []
    for attention_factor in (0, 2):
        attended = arguments[0] + attention_factor * attention
        mlp = tools.to_numpy(block.mlp(block.mlp_norm(attended)))
        options += [attended + mlp_factor * mlp for mlp_factor in (0, 2)]
    distances = np.abs(np.stack(outputs) - np.stack(options)[:, None]).max(axis=(-2, -1))
    assert distances.min(axis=0).max() < 1e-4
    assert set(distances.argmin(axis=0).flat) == {0, 1, 2, 3}


def test_layer_scale_starts_from_its_value(tools):
    block = EncoderBlock(3, MLP_DIM, layer_scale_init_value=1e-5)
    block.build(SHAPE)
    for layer in (block.attention_scale, block.mlp_scale):
        np.testing.assert_array_equal(tools.to_numpy(layer.gamma), np.float32(1e-5))


@pytest.mark.parametrize("block_type", BLOCKS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 5}, "num_heads must divide"),
        ({"mlp_type": "mixture"}, "mlp_type must be one of"),
        ({"activation": "tanhh"}, "activation must be one of"),
        ({"dropout_rate": 1.0}, "dropout_rate must lie in"),
        ({"attention_dropout_rate": -1}, "attention_dropout_rate must lie in"),
        ({"drop_path_rate": 1.0}, "drop_path_rate must lie in"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(block_type, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        block_type(**{"num_heads": 3, "mlp_dim": MLP_DIM, **arguments}).build(SHAPE)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)
