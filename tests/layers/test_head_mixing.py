"""The mixing of heads against an einsum, compiled and not, at the batch sizes that went wrong."""

import keras
import numpy as np
import pytest

from kerasvit.layers.head_mixing import HeadMixing, mix_heads


def _plain(function):
    return function


def _compiled(function):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function


@pytest.mark.parametrize("wrap", [_plain, _compiled])
@pytest.mark.parametrize(
    ("batch", "rows", "columns"), [(1, 16, 16), (2, 16, 16), (8, 16, 16), (2, 1, 37)]
)
def test_mix_heads_equals_an_einsum(tools, batch, rows, columns, wrap):
    """jaxlib 0.10.2 sums wrongly at batch 1 when heads are multiplied and added one by one."""
    scores = tools.random_tokens(batch, 3, rows, columns)
    kernel, bias = tools.random_tokens(3, 3, seed=2), tools.random_tokens(3, seed=3)
    expected = np.einsum("bhqk,hg->bgqk", scores, kernel)
    mixed = tools.to_numpy(wrap(mix_heads)(scores, kernel))
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
    mixed = tools.to_numpy(wrap(mix_heads)(scores, kernel, bias))
    np.testing.assert_allclose(mixed, expected + bias[:, None, None], atol=1e-5)


def test_the_layer_scales_its_kernel_and_adds_its_bias_on_request(tools):
    layer = tools.built(HeadMixing(), (2, 3, 16, 16))
    scores = tools.random_tokens(2, 3, 16, 16)
    expected = 0.25 * np.einsum("bhqk,hg->bgqk", scores, tools.to_numpy(layer.kernel))
    mixed = tools.to_numpy(layer(scores, scale=0.25, use_bias=False))
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
    mixed = tools.to_numpy(layer(scores, scale=0.25))
    bias = tools.to_numpy(layer.bias)[:, None, None]
    np.testing.assert_allclose(mixed, expected + bias, atol=1e-5)
