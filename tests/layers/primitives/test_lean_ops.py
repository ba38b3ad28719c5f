"""Operations in PyTorch's own form against `keras.ops`, and layers that use it against Keras'."""

import keras
import numpy as np
import pytest

from kerasvit.layers.attention.scaled_dot_product import softmax
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.norms import LayerNormalization
from kerasvit.layers.primitives.patch_projection import PatchProjection

PAIRS = {
    "reshape": [lambda x, ops=ops: ops.reshape(x, (3, 2, 6)) for ops in (lean_ops, keras.ops)],
    "transpose": [lambda x, ops=ops: ops.transpose(x, (2, 0, 1)) for ops in (lean_ops, keras.ops)],
    "matmul": [lambda x, ops=ops: ops.matmul(x, x) for ops in (lean_ops, keras.ops)],
    "softmax": (softmax, keras.ops.softmax),
    "cast_like": (lambda x: lean_ops.cast_like(keras.ops.cast(x, "float32"), x), lambda x: x),
}


def _floats(tools, tensor):
    return tools.to_numpy(keras.ops.cast(tensor, "float32"))


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_operation_is_that_of_keras(tools, name, dtype):
    tensor = keras.ops.cast(tools.random_tokens(4, 3, 3), dtype)
    ours, theirs = (function(keras.ops.copy(tensor)) for function in PAIRS[name])
    assert ours.dtype == theirs.dtype == tensor.dtype
    assert tuple(lean_ops.shape(ours)) == tuple(theirs.shape)
    tolerance = 1e-6 if dtype == "float32" else 0.01
    np.testing.assert_allclose(_floats(tools, ours), _floats(tools, theirs), tolerance, tolerance)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch alone writes in place")
def test_softmax_writes_over_its_logits_where_no_gradient_needs_them(tools):
    logits = keras.ops.convert_to_tensor(tools.random_tokens(4, 3, 3))
    expected = keras.ops.softmax(logits)
    trained = logits.clone().requires_grad_()
    softmax(trained).square().sum().backward()
    again = logits.clone().requires_grad_()
    keras.ops.softmax(again).square().sum().backward()
    assert np.array_equal(tools.to_numpy(trained), tools.to_numpy(logits))
    np.testing.assert_allclose(trained.grad.numpy(), again.grad.numpy(), atol=1e-6)

    scores = softmax(logits)
    assert scores.data_ptr() == logits.data_ptr()
    np.testing.assert_allclose(tools.to_numpy(scores), tools.to_numpy(expected), atol=1e-6)


@pytest.mark.backend
def test_operations_on_symbols_and_on_mixed_dtypes_are_keras_own():
    symbol = keras.KerasTensor((None, 3, 3))
    assert lean_ops.matmul(symbol, symbol).shape == (None, 3, 3)
    assert lean_ops.reshape(symbol, (-1, 9)).shape == (None, 9)
    assert softmax(symbol).shape == (None, 3, 3)
    narrow, wide = keras.ops.ones((2, 2), "bfloat16"), keras.ops.ones((2, 2), "float32")
    assert lean_ops.matmul(narrow, wide).dtype == wide.dtype


@pytest.mark.backend
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("arguments", [{}, {"center": False}, {"scale": False}, {"axis": (1, 2)}])
def test_layer_normalisation_is_that_of_keras(tools, dtype, arguments):
    ours = tools.built(LayerNormalization(epsilon=1e-3, dtype=dtype, **arguments), (None, 5, 6))
    theirs = keras.layers.LayerNormalization(epsilon=1e-3, dtype=dtype, **arguments)
    theirs.build((None, 5, 6))
    theirs.set_weights(ours.get_weights())
    # Float32 goes in under every policy: the layer does not cast what it is given.
    tokens = keras.ops.convert_to_tensor(tools.random_tokens(2, 5, 6))
    ours, theirs = ours(tokens), theirs(tokens)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(_floats(tools, ours), _floats(tools, theirs), atol=1e-6, rtol=0.01)


@pytest.mark.backend
@pytest.mark.parametrize("size", [(8, 12), (9, 14)])
@pytest.mark.parametrize("arguments", [{}, {"use_bias": False}, {"activation": "relu"}])
def test_projected_patches_are_a_convolution(tools, size, arguments):
    arguments = {"filters": 5, "kernel_size": (4, 3), "strides": (4, 3), **arguments}
    ours = tools.built(PatchProjection(**arguments, data_format="channels_last"), (None, 8, 12, 2))
    theirs = keras.layers.Conv2D(**arguments, data_format="channels_last")
    theirs.build((None, 8, 12, 2))
    theirs.set_weights(ours.get_weights())
    images = tools.random_tokens(2, *size, 2)
    np.testing.assert_allclose(
        tools.to_numpy(ours(images)), tools.to_numpy(theirs(images)), atol=1e-5
    )


def test_what_keras_cannot_project_directly_is_symbolic(tools):
    layer = tools.built(PatchProjection(5, 4, 4, data_format="channels_last"), (None, 8, 8, 2))
    assert layer(keras.KerasTensor((None, 8, 8, 2))).shape == (None, 2, 2, 5)
