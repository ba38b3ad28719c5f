"""Functions that XLA compiles inside TensorFlow graphs: the same results, gradients and shapes."""

import keras
import numpy as np
import pytest

from kerasvit.layers.attention import scaled_dot_product
from kerasvit.layers.attention.scaled_dot_product import attention
from kerasvit.layers.attention.talking_heads import TalkingHeadsAttention, talking_heads
from kerasvit.layers.primitives.fusing import fused_in_graphs, fuses_operations

pytestmark = pytest.mark.backend


def _in_graph(function):
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False)


def _arguments(tools, function, batch):
    heads = [tools.random_tokens(batch, 3, 7, 4, seed=seed) for seed in range(3)]
    kernels = [tools.random_tokens(3, 3, seed=seed) for seed in (3, 4)]
    bias = tools.random_tokens(3, seed=5)
    mixings = [kernels[0], None, kernels[1], bias] if function is talking_heads else []
    return [None if each is None else keras.ops.convert_to_tensor(each) for each in heads + mixings]


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("function", [attention, talking_heads])
def test_the_fused_function_agrees_with_the_neutral_one(tools, function, batch):
    arguments = _arguments(tools, function, batch)
    ours = _in_graph(lambda: function(*arguments))()
    neutral = function.__wrapped__(*arguments)
    assert len(ours) == len(neutral)
    for ours_each, neutral_each in zip(ours, neutral, strict=True):
        np.testing.assert_allclose(
            tools.to_numpy(ours_each), tools.to_numpy(neutral_each), rtol=1e-5, atol=2e-6
        )


def test_only_a_graph_fuses_on_tensorflow():
    seen = []

    @fused_in_graphs
    def function(tensor):
        seen.append(fuses_operations())
        return tensor + 1

    ones = keras.ops.ones((2,))
    function(ones)
    _in_graph(lambda: function(ones))()
    backend = keras.backend.backend()
    expected = {"jax": [True, True], "tensorflow": [False, True], "torch": [False, False]}
    assert seen == expected[backend]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="XLA in TensorFlow's graphs")
@pytest.mark.parametrize("function", [attention, talking_heads])
def test_gradients_and_unknown_batch_sizes_on_tensorflow(tools, function):
    """Of heads and of weights that mix them, through outputs that are read and that are not."""
    import tensorflow as tf

    arguments = _arguments(tools, function, 2)
    heads, rest = arguments[:3], arguments[3:]
    sources = [each for each in arguments if each is not None]

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value = tf.reduce_sum(tf.square(function(*heads, *rest)[0]))
        return tape.gradient(value, sources)

    fused = tf.function(lambda: gradients(function), autograph=False)()
    for ours, neutral in zip(fused, gradients(function.__wrapped__), strict=True):
        np.testing.assert_allclose(ours, neutral, rtol=1e-4, atol=1e-5)
    spec = [tf.TensorSpec((None, 3, 7, 4))] * 3
    unknown = tf.function(lambda *heads: function(*heads, *rest)[0], spec, autograph=False)
    wanted = function.__wrapped__(*heads, *rest)[0]
    np.testing.assert_allclose(unknown(*heads), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk", [3, 16])
def test_talking_heads_without_scores_are_the_same_in_chunks_of_queries(tools, monkeypatch, chunk):
    monkeypatch.setattr(scaled_dot_product, "QUERY_CHUNK", chunk)
    layer = tools.built(TalkingHeadsAttention(3), (None, 16, 12))
    tokens = tools.random_tokens(2, 16, 12)
    whole, scores = layer(tokens)
    chunked, none = layer(tokens, score_rows=0)
    assert none is None
    assert tuple(scores.shape) == (2, 3, 16, 16)
    np.testing.assert_allclose(tools.to_numpy(chunked), tools.to_numpy(whole), rtol=1e-5, atol=1e-5)
