"""The mixing of heads against an einsum, compiled and not, at the batch sizes that went wrong."""

import keras
import numpy as np
import pytest
from closeness import assert_close

from kerasvit.layers.attention.head_mixing import (
    FEW_HEADS,
    HeadMixing,
    mix_heads,
    multiply_heads,
    sum_heads,
)

pytestmark = pytest.mark.backend


@pytest.fixture
def compiled(optimising):
    """Function from a function to the same, compiled as users do."""

    def compile_function(function):
        if keras.backend.backend() == "jax":
            import jax

            return jax.jit(function, compiler_options=optimising)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.function(function, jit_compile=True)
        return function

    return compile_function


@pytest.fixture(params=["plain", "compiled"])
def wrap(request, compiled):
    """`compiled`, and what leaves a function as it is."""
    return compiled if request.param == "compiled" else lambda function: function


@pytest.mark.parametrize("mix", [mix_heads, multiply_heads, sum_heads])
@pytest.mark.parametrize(
    ("batch", "rows", "columns"), [(1, 16, 16), (2, 16, 16), (8, 16, 16), (2, 1, 37)]
)
def test_mixing_equals_an_einsum(tools, batch, rows, columns, wrap, mix):
    """jaxlib 0.10.2 sums wrongly at batch 1 when heads are multiplied and added one by one."""
    scores = tools.random_tokens(batch, 3, rows, columns)
    kernel, bias = tools.random_tokens(3, 3, seed=2), tools.random_tokens(3, seed=3)
    expected = np.einsum("bhqk,hg->bgqk", scores, kernel)
    tensors = [keras.ops.convert_to_tensor(each) for each in (scores, kernel, bias)]
    assert_close(tools.to_numpy(wrap(mix)(*tensors[:2])), expected)
    assert_close(tools.to_numpy(wrap(mix)(*tensors)), expected + bias[:, None, None])


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("num_heads", [FEW_HEADS, FEW_HEADS + 1])
def test_few_and_many_heads_are_mixed_alike(tools, compiled, num_heads, batch):
    scores = tools.random_tokens(batch, num_heads, 5, 7)
    kernel = tools.random_tokens(num_heads, num_heads, seed=2)
    mixed = tools.to_numpy(compiled(mix_heads)(scores, kernel))
    expected = np.einsum("bhqk,hg->bgqk", scores, kernel)
    assert_close(mixed, expected, 64)


def test_the_layer_scales_its_kernel_and_adds_its_bias_on_request(tools):
    layer = tools.built(HeadMixing(), (2, 3, 16, 16))
    scores = tools.random_tokens(2, 3, 16, 16)
    expected = 0.25 * np.einsum("bhqk,hg->bgqk", scores, tools.to_numpy(layer.kernel))
    mixed = tools.to_numpy(layer(scores, scale=0.25, use_bias=False))
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
    mixed = tools.to_numpy(layer(scores, scale=0.25))
    bias = tools.to_numpy(layer.bias)[:, None, None]
    np.testing.assert_allclose(mixed, expected + bias, atol=1e-5)
