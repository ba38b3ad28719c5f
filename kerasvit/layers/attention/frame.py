"""What every attention here shares: its arguments, the output projection and the dropouts."""

from kerasvit.layers.base import ScoringLayer, head_dim, require_rate
from kerasvit.layers.primitives.dense import Dense, make_dense
from kerasvit.layers.primitives.dropout import Dropout
from kerasvit.layers.primitives.lean_ops import matmul


class Attention(ScoringLayer):
    """What the attentions share: their arguments, the output projection and the dropouts."""

    projection: Dense
    attention_dropout: Dropout
    output_dropout: Dropout

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
        self.attention_dropout = Dropout(
            attention_dropout_rate, name="attention_dropout", dtype=self.dtype_policy
        )
        self.output_dropout = Dropout(dropout_rate, name="output_dropout", dtype=self.dtype_policy)

    def _dense(self, units, name, use_bias):
        return make_dense(units, name, use_bias, self.dtype_policy)

    def _build_projection(self, input_shape):
        head_dim(input_shape[-1], self.num_heads)
        self.projection = self._dense(input_shape[-1], "projection", self.use_projection_bias)
        self.projection.build(input_shape)
        self.attention_dropout.build(input_shape)
        self.output_dropout.build(input_shape)

    def _project(self, tokens, training):
        return self.output_dropout(self.projection(tokens), training=training)

    def _tapped(self, scores, tap):
        """Add the tap, whose gradient is that of the scores; JAX has no other handle on them."""
        return scores if tap is None else scores + tap

    def _attend(self, scores, value, training):
        """Weigh the values; the returned scores of the caller stay free of dropout."""
        return matmul(self.attention_dropout(scores, training=training), value)
