"""The dense layer against torch's, in each of its formulations, and as Keras sees it."""

import keras
import numpy as np
import pytest

from kerasvit.layers.primitives.dense import Dense, affine, flat_affine, wide_affine

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("function", [affine, flat_affine, wide_affine])
@pytest.mark.parametrize("leading", [(3,), (1, 5), (2, 5), (8, 5), (2, 3, 5)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_affine_equals_torchs(tools, function, leading, use_bias):
    import torch

    inputs, kernel = tools.random_tokens(*leading, 6), tools.random_tokens(6, 4, seed=2)
    bias = tools.random_tokens(4, seed=3) if use_bias else None
    tensors = [None if each is None else torch.tensor(each) for each in (inputs, kernel.T, bias)]
    expected = torch.nn.functional.linear(*tensors).numpy()
    tensors = [
        None if each is None else keras.ops.convert_to_tensor(each)
        for each in (inputs, kernel, bias)
    ]
    ours = tools.to_numpy(function(*tensors))
    assert ours.shape == (*leading, 4)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_it_is_keras_own_layer_otherwise(tools, dtype):
    ours = tools.built(Dense(4, activation="relu", dtype=dtype), (None, 5, 6))
    theirs = keras.layers.Dense(4, activation="relu", dtype=dtype)
    theirs.build((None, 5, 6))
    theirs.set_weights(ours.get_weights())
    inputs = tools.random_tokens(2, 5, 6)
    assert ours(inputs).dtype == theirs(inputs).dtype
    ours, theirs = (keras.ops.cast(layer(inputs), "float32") for layer in (ours, theirs))
    atol = 1e-6 if dtype == "float32" else 0.05
    np.testing.assert_allclose(tools.to_numpy(ours), tools.to_numpy(theirs), atol=atol)


def test_lora_changes_the_outputs_and_quantizing_hardly_does(tools):
    layer = tools.built(Dense(4), (None, 5, 6))
    inputs = tools.random_tokens(2, 5, 6)
    before = tools.to_numpy(layer(inputs))
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(tools.random_tokens(2, 4))
    expected = inputs @ tools.to_numpy(layer.kernel) + tools.to_numpy(layer.bias)
    adapted = tools.to_numpy(layer(inputs))
    np.testing.assert_allclose(adapted, expected, atol=1e-5)
    assert np.abs(adapted - before).max() > 0.1
    layer.quantize("int8")
    assert keras.backend.standardize_dtype(layer._kernel.dtype) == "int8"
    np.testing.assert_allclose(tools.to_numpy(layer(inputs)), adapted, atol=0.1)


def test_a_batch_size_that_is_unknown_while_tracing(tools):
    layer = tools.built(Dense(4), (None, 5, 6))
    assert layer(keras.KerasTensor((None, 5, 6))).shape == (None, 5, 4)
