"""Activations against torch's, at values where the approximations differ visibly."""

import keras
import numpy as np
import pytest

from kerasvit.layers.primitives.activations import activation_function

VALUES = np.linspace(-6, 6, 97, dtype=np.float32)


def _references():
    import torch
    from torch.nn import functional

    return {
        "gelu": functional.gelu,
        "gelu_tanh": lambda values: functional.gelu(values, approximate="tanh"),
        "quick_gelu": lambda values: values * torch.sigmoid(1.702 * values),
        "silu": functional.silu,
        "relu": functional.relu,
    }


@pytest.mark.backend
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "quick_gelu", "silu", "relu"])
def test_an_activation_equals_torchs(tools, name):
    import torch

    expected = _references()[name](torch.tensor(VALUES)).numpy()
    ours = tools.to_numpy(activation_function(name)(keras.ops.convert_to_tensor(VALUES)))
    np.testing.assert_allclose(ours, expected, atol=2e-6)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_gelu_in_half_precision_is_rounded_once(tools, name, dtype):
    """Made in half precision, small values left of zero would be 0 or of the wrong size."""
    import torch

    values = keras.ops.cast(VALUES, dtype)
    wide = torch.tensor(tools.to_numpy(keras.ops.cast(values, "float32")))
    expected = _references()[name](wide.double()).numpy()
    ours = activation_function(name)(values)
    assert keras.backend.standardize_dtype(ours.dtype) == dtype
    ours = tools.to_numpy(keras.ops.cast(ours, "float32"))
    rounding = {"bfloat16": 2.0**-8, "float16": 2.0**-10}[dtype]
    np.testing.assert_allclose(ours, expected, rtol=rounding, atol=5e-6)


def test_gelu_is_exact_and_not_the_tanh_approximation(tools):
    exact, tanh = (tools.to_numpy(activation_function(n)(VALUES)) for n in ("gelu", "gelu_tanh"))
    assert np.abs(exact - tanh).max() > 1e-4


def test_an_unknown_name_is_told_which_ones_there_are():
    with pytest.raises(ValueError, match=r"gelu_tanh.*Received: 'swish2'") as error:
        activation_function("swish2")
    assert "\n" not in str(error.value)
