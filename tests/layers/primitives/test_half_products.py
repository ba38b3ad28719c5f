"""Products of bfloat16 with sums in float32 against `keras.ops`, and against float32 itself."""

import types

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops

from kerasvit.layers.primitives import half_products, lean_ops
from kerasvit.layers.primitives.dense import Dense
from kerasvit.layers.primitives.devices import compiling_for, is_jax_on_cpu
from kerasvit.layers.primitives.fusing import fused_in_graphs, inside_compiled_step

pytestmark = pytest.mark.backend

# Of attention, of a dense layer, of mixed heads; and what broadcasts, which is left to Keras.
SHAPES = {
    "alike": ((2, 3, 7, 5), (2, 3, 5, 6), True),
    "kernel": ((2, 7, 5), (5, 6), True),
    "matrices": ((7, 5), (5, 6), True),
    "broadcast": ((3, 7, 5), (2, 3, 5, 6), False),
    "mixing": ((4, 4), (2, 4, 9), False),
    "vector": ((5,), (5, 6), False),
}


@fused_in_graphs
def _product(first, second):
    return lean_ops.matmul(first, second)


def _in_graph(function, *arguments):
    if keras.backend.backend() != "tensorflow":
        return function(*arguments)
    import tensorflow as tf

    return tf.function(function, autograph=False)(*arguments)


def _pair(tools, name):
    arrays = (tools.random_tokens(*shape, seed=i) for i, shape in enumerate(SHAPES[name][:2]))
    return [array.astype(ml_dtypes.bfloat16) for array in arrays]


@pytest.mark.parametrize("name", SHAPES)
def test_a_product_is_the_sum_in_float32_rounded_once(tools, name):
    first, second = _pair(tools, name)
    wanted = (first.astype("float64") @ second.astype("float64")).astype("float32")
    pays = []

    def product(*both):
        pays.append(half_products.pays_for(*both))
        return _product(*both)

    given = _in_graph(product, ops.convert_to_tensor(first), ops.convert_to_tensor(second))
    assert keras.backend.standardize_dtype(given.dtype) == "bfloat16"
    given = tools.to_numpy(ops.cast(given, "float32"))
    # Half of the last of eight binary digits, and a little for the sum.
    np.testing.assert_allclose(given, wanted, rtol=2**-8 + 1e-5, atol=1e-5)
    assert pays == [SHAPES[name][2] and is_jax_on_cpu()]


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape[2]])
def test_gradients_are_those_of_float32(tools, name):
    arrays = [array.astype("float32") for array in _pair(tools, name)]
    weights = ops.convert_to_tensor(tools.random_tokens(*(arrays[0] @ arrays[1]).shape))
    variables = [keras.Variable(array, name=f"factor_{i}") for i, array in enumerate(arrays)]
    factors = types.SimpleNamespace(trainable_variables=variables)

    def loss():
        halves = [ops.cast(variable, "bfloat16") for variable in variables]
        return ops.sum(ops.cast(_product(*halves), "float32") * weights)

    def exact():
        return ops.sum(ops.matmul(*map(ops.convert_to_tensor, variables)) * weights)

    wanted = tools.gradients(factors, exact)
    for path, gradient in tools.gradients(factors, lambda: _in_graph(loss)).items():
        tolerance = 0.02 * abs(wanted[path]).max()
        np.testing.assert_allclose(gradient, wanted[path], rtol=0.02, atol=tolerance)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the device is JAX's to choose")
def test_another_device_gets_the_plain_product(tools):
    pair = [ops.convert_to_tensor(array) for array in _pair(tools, "alike")]
    assert half_products.pays_for(*pair)
    with compiling_for("tpu"):
        assert not half_products.pays_for(*pair)
    wide = [ops.cast(tensor, "float32") for tensor in pair]
    assert not half_products.pays_for(*wide)
    assert not half_products.pays_for(pair[0], wide[1])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="XLA in TensorFlow's graphs")
def test_tensorflow_multiplies_itself_outside_xla(tools):
    pair = [ops.convert_to_tensor(array) for array in _pair(tools, "alike")]
    seen = []

    @fused_in_graphs
    def function(*both):
        seen.append(half_products.pays_for(*both))
        return lean_ops.matmul(*both)

    function(*pair)
    _in_graph(function, *pair)
    with inside_compiled_step(True):
        _in_graph(function, *pair)
    assert seen == [False, True, False]


def test_a_dense_layer_in_half_precision_is_near_the_exact_one(tools):
    layer = tools.built(Dense(6, dtype="mixed_bfloat16"), (None, 7, 5))
    tokens = tools.random_tokens(2, 7, 5)
    exact = tokens @ tools.to_numpy(layer.kernel) + tools.to_numpy(layer.bias)
    given = tools.to_numpy(ops.cast(layer(tokens), "float32"))
    np.testing.assert_allclose(given, exact, atol=0.03 * abs(exact).max())
    symbolic = layer(keras.Input((7, 5)))
    assert (symbolic.shape, symbolic.dtype) == ((None, 7, 6), "bfloat16")
