"""Multi-head self-attention."""

import keras
from keras import ops

from kerasvit.layers.attention.frame import Attention
from kerasvit.layers.attention.relative_bias import RelativePositionBias
from kerasvit.layers.attention.scaled_dot_product import (
    attention,
    attention_scores,
    fused_attention,
    merge_heads,
    split_heads,
    split_joint_heads,
)
from kerasvit.layers.base import PACKAGE, head_dim, require
from kerasvit.layers.primitives.dense import Dense
from kerasvit.layers.primitives.lean_ops import concatenate, matmul, weight_tensor
from kerasvit.layers.primitives.norms import make_norm


def query_groups(num_heads: int, num_key_value_heads: int | None) -> int:
    """Return how many heads of queries each head of keys and values serves.

    Raises:
        UsageError: if `num_key_value_heads` does not divide `num_heads`.
    """
    if num_key_value_heads is None:
        return 1
    require(
        num_key_value_heads > 0 and num_heads % num_key_value_heads == 0,
        "num_key_value_heads must divide num_heads. Received: "
        f"num_key_value_heads={num_key_value_heads}, num_heads={num_heads}",
    )
    return num_heads // num_key_value_heads


@keras.saving.register_keras_serializable(PACKAGE)
class SelfAttention(Attention):
    """Multi-head self-attention that can return its scores.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        use_qkv_bias: bool. Whether the joint query, key and value projection has a bias.
        use_projection_bias: bool. Whether the output projection has a bias.
        attention_dropout_rate: float in [0, 1), share of the scores dropped while training. The
            returned scores are those before dropout.
        dropout_rate: float in [0, 1), applied to the output.
        use_qk_norm: bool. Whether queries and keys are normalised, each head by itself.
        use_sub_norm: bool. Whether the heads' outputs, side by side, are normalised before the
            output projection, as in BEiT-3.
        use_key_bias: bool. Whether keys have a bias where queries and values have one.
        num_key_value_heads: int or None. Heads of keys and values, each of which serves as many
            heads of queries: grouped-query attention. None for `num_heads`, which they divide.
        relative_grid: `(rows, columns)` of the patches that a `RelativePositionBias` is stored for,
            which is added to the products of queries and keys; None for none.
        norm_type: "layer" or "rms", of these normalisations.
        layer_norm_epsilon: float. Epsilon of these normalisations.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        score_rows: how many query rows of the scores to return: None for all, 0 for none, 1 for
            the class token's. Fewer than all leave the attention itself to a fused kernel.
        score_tap: tensor `(B, H, N, N)` added to the scores, or None. The gradient of zeros here
            is the gradient of the scores.
        rotation: `kerasvit.layers.rotary.embedding.Rotation` of queries and keys, or None.
        grid: `(rows, columns)` of the patches, for the relative bias; that of the bias if None.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, N, D)`.
        scores: `(B, H, N, N)`, or `(B, H, score_rows, N)`, or None for `score_rows=0`; softmax
            probabilities, each row sums to 1.

    Raises:
        ValueError: if D is not divisible by `num_heads`, or these by `num_key_value_heads`, or a
            rate lies outside [0, 1).

    Source: Vaswani et al. 2017, section 3.2 (https://arxiv.org/abs/1706.03762); norm of queries and
    keys: Dehghani et al. 2023 (https://arxiv.org/abs/2302.05442); norm before the projection: Wang
    et al. 2022 (https://arxiv.org/abs/2210.06423); no bias of keys: Bao et al. 2022
    (https://arxiv.org/abs/2106.08254); grouped queries: Ainslie et al. 2023
    (https://arxiv.org/abs/2305.13245).
    """

    qkv: Dense
    query_bias: keras.Variable
    value_bias: keras.Variable
    relative_bias: RelativePositionBias
    query_norm: keras.layers.Layer
    key_norm: keras.layers.Layer
    sub_norm: keras.layers.Layer

    def __init__(
        self,
        num_heads: int,
        use_qk_norm: bool = False,
        use_sub_norm: bool = False,
        use_key_bias: bool = True,
        num_key_value_heads: int | None = None,
        norm_type: str = "layer",
        layer_norm_epsilon: float = 1e-6,
        relative_grid: tuple[int, int] | None = None,
        **kwargs,
    ):
        super().__init__(num_heads, **kwargs)
        self.use_qk_norm = use_qk_norm
        self.use_sub_norm = use_sub_norm
        self.use_key_bias = use_key_bias
        self.num_key_value_heads = num_key_value_heads
        self._groups = query_groups(num_heads, num_key_value_heads)
        self.relative_grid = None if relative_grid is None else tuple(relative_grid)
        self.norm_type = norm_type
        self.layer_norm_epsilon = layer_norm_epsilon

    def build(self, input_shape):
        """Create the projections, and the norms where they are used."""
        width = input_shape[-1]
        key_width = width // self._groups
        has_joint_bias = self.use_qkv_bias and self.use_key_bias
        self.qkv = self._dense(width + 2 * key_width, "qkv", has_joint_bias)
        self.qkv.build(input_shape)
        if self.use_qkv_bias and not self.use_key_bias:
            self.query_bias = self._bias("query_bias", width)
            self.value_bias = self._bias("value_bias", key_width)
        if self.relative_grid is not None:
            self.relative_bias = RelativePositionBias(
                self.relative_grid, self.num_heads, name="relative_bias", dtype=self.dtype_policy
            )
            self.relative_bias.build()
        self._build_projection(input_shape)
        if self.use_qk_norm:
            heads_shape = (input_shape[0], None, None, self._query_width(input_shape[-1]))
            self.query_norm = self._norm("query_norm", heads_shape)
            self.key_norm = self._norm("key_norm", heads_shape)
        if self.use_sub_norm:
            self.sub_norm = self._norm("sub_norm", input_shape)
        self.built = True

    def _query_width(self, hidden_dim: int) -> int:
        return head_dim(hidden_dim, self.num_heads)

    def _bias(self, name, width):
        return self.add_weight(name=name, shape=(width,), initializer="zeros")

    def _norm(self, name, shape):
        norm = make_norm(self.norm_type, self.layer_norm_epsilon, name, self.dtype_policy)
        norm.build(shape)
        return norm

    def call(
        self, tokens, score_rows=None, score_tap=None, rotation=None, grid=None, training=None
    ):
        """Attend, and return the scores of the rows asked for."""
        query, key, value = self._heads(self.joint(tokens))
        if self.use_qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if rotation is not None:
            query, key = rotation(query), rotation(key)
        if self._groups > 1:
            key, value = (ops.repeat(heads, self._groups, axis=1) for heads in (key, value))
        drops_scores = training and self.attention_dropout_rate
        if score_tap is not None or drops_scores:
            scores = self._tapped(self._scores(query, key, grid), score_tap)
            heads = self._attend(scores, value, training)
            scores = scores if score_rows is None else scores[:, :, :score_rows]
        elif score_rows is None:
            heads, scores = self._attention(query, key, value, grid)
        else:
            heads = self._fused(query, key, value, grid)
            scores = self._scores(query[:, :, :score_rows], key, grid) if score_rows else None
        outputs = self._merge(heads)
        if self.use_sub_norm:
            outputs = self.sub_norm(outputs)
        return self._project(outputs, training), None if score_rows == 0 else scores

    def joint(self, tokens):
        """Return queries, keys and values side by side, `(B, N, D + 2 * key width)`, unturned."""
        joint = self.qkv(tokens)
        if not self.use_qkv_bias or self.use_key_bias:
            return joint
        query, value = weight_tensor(self.query_bias), weight_tensor(self.value_bias)
        return joint + concatenate((query, ops.zeros_like(value), value), axis=0)

    def _heads(self, joint):
        if self._groups == 1:
            return split_joint_heads(joint, 3, self.num_heads)
        key_heads = self.num_heads // self._groups
        heads = split_heads(joint, self.num_heads + 2 * key_heads)
        return (
            heads[:, : self.num_heads],
            heads[:, self.num_heads : -key_heads],
            heads[:, -key_heads:],
        )

    def _scores(self, query, key, grid=None):
        if self.relative_grid is None:
            return attention_scores(query, key)
        return attention_scores(query, key, self.relative_bias.bias(grid, query.shape[2]))

    def _attention(self, query, key, value, grid=None):
        if self.relative_grid is None:
            return attention(query, key, value)
        scores = self._scores(query, key, grid)
        return matmul(scores, value), scores

    def _fused(self, query, key, value, grid=None):
        if self.relative_grid is None:
            return fused_attention(query, key, value)
        return self.relative_bias.attend(query, key, value, grid)

    def _merge(self, heads):
        return merge_heads(heads)
