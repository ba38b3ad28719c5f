"""Differential attention: the difference of two softmax maps, which cancels common noise."""

import math

import keras
from keras import ops

from kerasvit.layers.attention.scaled_dot_product import (
    attention_scores,
    merge_heads,
    split_heads,
)
from kerasvit.layers.attention.self_attention import SelfAttention
from kerasvit.layers.base import PACKAGE, head_dim, require, weight_initializer
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.norms import make_norm

_HEAD_NORM_EPSILON = 1e-5
_LAMBDA_STDDEV = 0.1


def initial_lambda(depth: int) -> float:
    """Return the weight of the second map that a block starts from.

    Args:
        depth: number of the block, 0 for the first.

    Source: Ye et al. 2024, section 2.1 (https://arxiv.org/abs/2410.05258), which counts from 1.
    """
    return 0.8 - 0.6 * math.exp(-0.3 * depth)


@keras.saving.register_keras_serializable(PACKAGE)
class DifferentialAttention(SelfAttention):
    """Self-attention whose scores are one softmax map minus lambda times another.

    Args:
        num_heads: int. Number of attention heads; twice as many must divide the token width.
        initial_lambda: float, lambda's start, which also scales the output by `1 - initial_lambda`.
        **kwargs: the further arguments of `SelfAttention`; there are as many keys as queries.

    Call arguments:
        tokens, score_rows, score_tap, training: see `SelfAttention`.

    Returns:
        tokens: `(B, N, D)`.
        scores: `(B, H, N, N)`, or `(B, H, score_rows, N)`, or None for `score_rows=0`: the
            differences that weigh the values. They are no probabilities: they may be negative, and
            a row sums to `1 - lambda`.

    Raises:
        ValueError: if D is not divisible by `2 * num_heads`, or a rate lies outside [0, 1).

    Source: Ye et al. 2024 (https://arxiv.org/abs/2410.05258); reference
    timm/layers/diff_attention.py.
    """

    lambda_vectors: dict[str, keras.Variable]
    head_norm: keras.layers.Layer

    def __init__(self, num_heads: int, initial_lambda: float = 0.2, **kwargs):
        super().__init__(num_heads, **kwargs)
        require(
            self._groups == 1,
            "Differential attention has as many heads of keys as of queries. Received: "
            f"num_key_value_heads={self.num_key_value_heads}, num_heads={num_heads}",
        )
        self.initial_lambda = initial_lambda

    def build(self, input_shape):
        """Create what `SelfAttention` has, the four vectors of lambda and the norm of a head."""
        super().build(input_shape)
        width = self._query_width(input_shape[-1])
        self.lambda_vectors = {
            name: self.add_weight(
                name=f"lambda_{name}",
                shape=(width,),
                initializer=weight_initializer(_LAMBDA_STDDEV),
            )
            for name in ("query_1", "key_1", "query_2", "key_2")
        }
        self.head_norm = make_norm("rms", _HEAD_NORM_EPSILON, "head_norm", self.dtype_policy)
        self.head_norm.build((input_shape[0], None, None, 2 * width))
        self.built = True

    def _query_width(self, hidden_dim: int) -> int:
        width = head_dim(hidden_dim, self.num_heads)
        require(
            width % 2 == 0,
            "Differential attention halves the width of a head: 2 * num_heads must divide the "
            f"token width. Received: num_heads={self.num_heads}, hidden_dim={hidden_dim}",
        )
        return width // 2

    def current_lambda(self):
        """Return the weight of the second map, a scalar tensor in float32."""
        vectors = {name: ops.cast(v, "float32") for name, v in self.lambda_vectors.items()}
        first = ops.exp(ops.sum(vectors["query_1"] * vectors["key_1"]))
        second = ops.exp(ops.sum(vectors["query_2"] * vectors["key_2"]))
        return first - second + self.initial_lambda

    def _heads(self, joint):
        query, key, value = ops.split(joint, 3, axis=-1)
        twice = 2 * self.num_heads
        return split_heads(query, twice), split_heads(key, twice), split_heads(value, twice // 2)

    def _scores(self, query, key, grid=None):
        bias = None
        if self.relative_grid is not None:  # both maps of a head have its bias
            bias = ops.repeat(self.relative_bias.bias(grid, query.shape[2]), 2, axis=0)
        maps = attention_scores(query, key, bias)
        return self._difference(maps[:, 0::2], maps[:, 1::2])

    def _attention(self, query, key, value, grid=None):
        scores = self._scores(query, key, grid)
        return lean_ops.matmul(scores, value), scores

    def _fused(self, query, key, value, grid=None):
        first = super()._fused(query[:, 0::2], key[:, 0::2], value, grid)
        second = super()._fused(query[:, 1::2], key[:, 1::2], value, grid)
        return self._difference(first, second)

    def _difference(self, first, second):
        return first - ops.cast(self.current_lambda(), first.dtype) * second

    def _merge(self, heads):
        return merge_heads(self.head_norm(heads) * (1 - self.initial_lambda))
