"""The MLPs against torch and timm."""

import numpy as np
import pytest

from kerasvit.layers import MLP, GatedMLP

SHAPE = (2, 16, 12)


@pytest.mark.backend
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_mlp_equals_timms(tools, timm, activation, use_bias):
    import torch

    layer = tools.built(MLP(20, activation, use_bias=use_bias), SHAPE)
    act_layer = {"gelu": torch.nn.GELU, "silu": torch.nn.SiLU}[activation]
    reference = timm.layers.Mlp(12, 20, act_layer=act_layer, bias=use_bias)
    tools.copy_dense(layer.dense_1, reference.fc1)
    tools.copy_dense(layer.dense_2, reference.fc2)
    tokens = tools.random_tokens(*SHAPE)
    expected = tools.run_torch(reference, tokens)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(tools.to_numpy(layer(tokens)), expected, atol=2e-5)


@pytest.mark.backend
@pytest.mark.parametrize("use_bias", [True, False])
def test_gated_mlp_equals_timms_packed_swiglu(tools, timm, use_bias):
    layer = tools.built(GatedMLP(20, use_bias=use_bias), SHAPE)
    reference = timm.layers.SwiGLUPacked(12, 2 * 20, bias=use_bias)
    tools.copy_dense(layer.dense_1, reference.fc1)
    tools.copy_dense(layer.dense_2, reference.fc2)
    tokens = tools.random_tokens(*SHAPE)
    expected = tools.run_torch(reference, tokens)
    np.testing.assert_allclose(tools.to_numpy(layer(tokens)), expected, atol=2e-5)


@pytest.mark.backend
@pytest.mark.parametrize("mlp", [MLP, GatedMLP])
def test_dropout_acts_in_training_alone(tools, mlp):
    layer = tools.built(mlp(20, dropout_rate=0.5), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    at_rest = tools.to_numpy(layer(tokens, training=False))
    np.testing.assert_array_equal(tools.to_numpy(layer(tokens)), at_rest)
    dropped = tools.to_numpy(layer(tokens, training=True)) == 0
    assert 0.4 < dropped.mean() < 0.6


@pytest.mark.parametrize("mlp", [MLP, GatedMLP])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "tanhh"}, "activation must be one of"),
        ({"dropout_rate": 1.0}, r"dropout_rate must lie in \[0, 1\)"),
        ({"dropout_rate": -0.1}, r"dropout_rate must lie in \[0, 1\)"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(mlp, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        mlp(20, **arguments)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)
