"""The three attentions: ViT's self-attention, CaiT's talking heads and CaiT's class attention."""

import keras
from keras import ops

from kerasvit.layers.base import (
    PACKAGE,
    ConfiguredLayer,
    head_dim,
    kernel_initializer,
    require_rate,
)
from kerasvit.layers.head_mixing import HeadMixing
from kerasvit.layers.scaled_dot_product import (
    attention_scores,
    fused_attention,
    merge_heads,
    softmax,
    split_heads,
    split_joint_heads,
)


class _Attention(ConfiguredLayer):
    """What the attentions share: their arguments, the output projection and the dropouts."""

    arguments = (
        "num_heads",
        "use_qkv_bias",
        "use_projection_bias",
        "attention_dropout_rate",
        "dropout_rate",
    )

    def __init__(
        self,
        num_heads: int,
        use_qkv_bias: bool = True,
        use_projection_bias: bool = True,
        attention_dropout_rate: float = 0.0,
        dropout_rate: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.use_qkv_bias = use_qkv_bias
        self.use_projection_bias = use_projection_bias
        self.attention_dropout_rate = require_rate("attention_dropout_rate", attention_dropout_rate)
        self.dropout_rate = require_rate("dropout_rate", dropout_rate)
        self.attention_dropout = keras.layers.Dropout(
            attention_dropout_rate, name="attention_dropout", dtype=self.dtype_policy
        )
        self.output_dropout = keras.layers.Dropout(
            dropout_rate, name="output_dropout", dtype=self.dtype_policy
        )

    def _dense(self, units, name, use_bias):
        return keras.layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer(),
            name=name,
            dtype=self.dtype_policy,
        )

    def _build_projection(self, input_shape):
        head_dim(input_shape[-1], self.num_heads)
        self.projection = self._dense(input_shape[-1], "projection", self.use_projection_bias)
        self.projection.build(input_shape)
        self.attention_dropout.build(input_shape)
        self.output_dropout.build(input_shape)

    def _project(self, heads, training):
        return self.output_dropout(self.projection(merge_heads(heads)), training=training)

    def _tapped(self, scores, tap):
        """Add the tap, whose gradient is that of the scores; JAX has no other handle on them."""
        return scores if tap is None else scores + tap

    def _attend(self, scores, value, training):
        """Weigh the values; the returned scores of the caller stay free of dropout."""
        return ops.matmul(self.attention_dropout(scores, training=training), value)


@keras.saving.register_keras_serializable(PACKAGE)
class SelfAttention(_Attention):
    """Multi-head self-attention that can return its scores.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        use_qkv_bias: bool. Whether the joint query, key and value projection has a bias.
        use_projection_bias: bool. Whether the output projection has a bias.
        attention_dropout_rate: float in [0, 1), share of the scores dropped while training. The
            returned scores are those before dropout.
        dropout_rate: float in [0, 1), applied to the output.
        use_qk_norm: bool. Whether queries and keys are normalised, each head by itself.
        layer_norm_epsilon: float. Epsilon of that normalisation.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        score_rows: how many query rows of the scores to return: None for all, 0 for none, 1 for
            the class token's. Fewer than all leave the attention itself to a fused kernel.
        score_tap: tensor `(B, H, N, N)` added to the scores, or None. The gradient of zeros here
            is the gradient of the scores.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, N, D)`.
        scores: `(B, H, N, N)`, or `(B, H, score_rows, N)`, or None for `score_rows=0`; softmax
            probabilities, each row sums to 1.

    Raises:
        ValueError: if D is not divisible by `num_heads`, or a rate lies outside [0, 1).

    Source: Vaswani et al. 2017, section 3.2 (https://arxiv.org/abs/1706.03762).
    """

    arguments = (*_Attention.arguments, "use_qk_norm", "layer_norm_epsilon")

    def __init__(
        self,
        num_heads: int,
        use_qk_norm: bool = False,
        layer_norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(num_heads, **kwargs)
        self.use_qk_norm = use_qk_norm
        self.layer_norm_epsilon = layer_norm_epsilon

    def build(self, input_shape):
        """Create the projections, and the norms of queries and keys where they are used."""
        self.qkv = self._dense(3 * input_shape[-1], "qkv", self.use_qkv_bias)
        self.qkv.build(input_shape)
        self._build_projection(input_shape)
        if self.use_qk_norm:
            head_shape = (None, None, head_dim(input_shape[-1], self.num_heads))
            self.query_norm = self._head_norm("query_norm", head_shape)
            self.key_norm = self._head_norm("key_norm", head_shape)
        self.built = True

    def _head_norm(self, name, shape):
        norm = keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon, name=name, dtype=self.dtype_policy
        )
        norm.build(shape)
        return norm

    def call(self, tokens, score_rows=None, score_tap=None, training=None):
        """Attend, and return the scores of the rows asked for."""
        query, key, value = split_joint_heads(self.qkv(tokens), 3, self.num_heads)
        if self.use_qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        drops_scores = training and self.attention_dropout_rate
        if score_rows is None or score_tap is not None or drops_scores:
            scores = self._tapped(attention_scores(query, key), score_tap)
            heads = self._attend(scores, value, training)
            scores = scores if score_rows is None else scores[:, :, :score_rows]
        else:
            heads = fused_attention(query, key, value)
            scores = attention_scores(query[:, :, :score_rows], key) if score_rows else None
        return self._project(heads, training), None if score_rows == 0 else scores


@keras.saving.register_keras_serializable(PACKAGE)
class TalkingHeadsAttention(_Attention):
    """Self-attention whose heads are mixed before and after the softmax, as in CaiT.

    The mixing before the softmax folds in the scale. Its bias is the same for all keys of a query
    and cancels in the softmax: it is added while training alone, so that the weights of the paper
    keep their place without a pass over the scores.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        use_qkv_bias: bool. Whether the joint query, key and value projection has a bias.
        use_projection_bias: bool. Whether the output projection has a bias.
        attention_dropout_rate: float in [0, 1), share of the mixed scores dropped while training.
        dropout_rate: float in [0, 1), applied to the output.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        score_rows: None returns the scores, 0 returns None for them.
        scores_before_mixing: bool. Which scores to return: those after the second mixing (False),
            which weigh the values but are no probabilities and may be negative, or the softmax
            before it (True), whose rows sum to 1.
        score_tap: tensor `(B, H, N, N)` added to the scores at the place of those returned, or
            None; see `SelfAttention`.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, N, D)`.
        scores: `(B, H, N, N)`, or None.

    Raises:
        ValueError: if D is not divisible by `num_heads`, or a rate lies outside [0, 1).

    Source: Shazeer et al. 2020 (https://arxiv.org/abs/2003.02436); Touvron et al. 2021
    (https://arxiv.org/abs/2103.17239); reference timm/models/cait.py `TalkingHeadAttn`.
    """

    def build(self, input_shape):
        """Create the projections and the two head mixings."""
        self.qkv = self._dense(3 * input_shape[-1], "qkv", self.use_qkv_bias)
        self.qkv.build(input_shape)
        self._build_projection(input_shape)
        self.mixing_before = HeadMixing(name="mixing_before", dtype=self.dtype_policy)
        self.mixing_after = HeadMixing(name="mixing_after", dtype=self.dtype_policy)
        self.mixing_before.build((None, self.num_heads, None, None))
        self.mixing_after.build((None, self.num_heads, None, None))
        self.built = True

    def call(
        self, tokens, score_rows=None, scores_before_mixing=False, score_tap=None, training=None
    ):
        """Attend with mixed heads, and return the scores of the stage asked for."""
        query, key, value = split_joint_heads(self.qkv(tokens), 3, self.num_heads)
        products = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        scale = query.shape[-1] ** -0.5
        logits = self.mixing_before(products, scale=scale, use_bias=bool(training))
        before_tap, after_tap = (score_tap, None) if scores_before_mixing else (None, score_tap)
        probabilities = self._tapped(softmax(logits), before_tap)
        mixed = self._tapped(self.mixing_after(probabilities), after_tap)
        outputs = self._project(self._attend(mixed, value, training), training)
        if score_rows == 0:
            return outputs, None
        return outputs, probabilities if scores_before_mixing else mixed


@keras.saving.register_keras_serializable(PACKAGE)
class ClassAttention(_Attention):
    """Attention of the class token alone to itself and to the patches, as in CaiT.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        use_qkv_bias: bool. Whether the query, key and value projections have biases.
        use_projection_bias: bool. Whether the output projection has a bias.
        attention_dropout_rate: float in [0, 1), share of the scores dropped while training. The
            returned scores are those before dropout.
        dropout_rate: float in [0, 1), applied to the output.

    Call arguments:
        tokens: float tensor `(B, 1 + P, D)`, the class token first.
        score_rows: None returns the scores, 0 returns None for them.
        score_tap: tensor `(B, H, 1, 1 + P)` added to the scores, or None; see `SelfAttention`.
        training: bool or None, as in Keras.

    Returns:
        class_token: `(B, 1, D)`.
        scores: `(B, H, 1, 1 + P)`, softmax probabilities whose row sums to 1; or None.

    Raises:
        ValueError: if D is not divisible by `num_heads`, or a rate lies outside [0, 1).

    Source: Touvron et al. 2021, section 3, equations 4 to 7 (https://arxiv.org/abs/2103.17239);
    reference timm/models/cait.py `ClassAttn`.
    """

    def build(self, input_shape):
        """Create the projections."""
        width = input_shape[-1]
        self.query = self._dense(width, "query", self.use_qkv_bias)
        self.key = self._dense(width, "key", self.use_qkv_bias)
        self.value = self._dense(width, "value", self.use_qkv_bias)
        for projection in (self.query, self.key, self.value):
            projection.build(input_shape)
        self._build_projection(input_shape)
        self.built = True

    def call(self, tokens, score_rows=None, score_tap=None, training=None):
        """Let the class token attend, and return its scores."""
        query = split_heads(self.query(tokens[:, :1]), self.num_heads)
        key = split_heads(self.key(tokens), self.num_heads)
        value = split_heads(self.value(tokens), self.num_heads)
        scores = self._tapped(attention_scores(query, key), score_tap)
        outputs = self._project(self._attend(scores, value, training), training)
        return outputs, None if score_rows == 0 else scores
