"""CaiT's class attention: the class token asks, the patches answer."""

import keras

from kerasvit.layers.attention.frame import Attention
from kerasvit.layers.attention.scaled_dot_product import attention_scores, merge_heads, split_heads
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.primitives.dense import Dense


@keras.saving.register_keras_serializable(PACKAGE)
class ClassAttention(Attention):
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

    query: Dense
    key: Dense
    value: Dense

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
        outputs = self._project(merge_heads(self._attend(scores, value, training)), training)
        return outputs, None if score_rows == 0 else scores
