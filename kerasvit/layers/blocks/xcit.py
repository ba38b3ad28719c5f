"""XCiT's two blocks: channels attend to channels, and class attention."""

import keras

from kerasvit.layers.attention.class_attention import ClassAttention
from kerasvit.layers.attention.cross_covariance import CrossCovarianceAttention
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.blocks.frame import Block
from kerasvit.layers.local_interaction import LocalInteraction
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.regularization import LayerScale, StochasticDepth


@keras.saving.register_keras_serializable(PACKAGE)
class CrossCovarianceBlock(Block):
    """XCiT's block: attention of channels, exchange between neighbours, MLP, each with LayerScale.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        **kwargs: the further arguments of `EncoderBlock`, without those of its attention's norms.

    Call arguments:
        tokens: float tensor `(B, P, D)`.
        grid: `(rows, columns)` of the patches.
        score_rows, score_tap: see `CrossCovarianceAttention`.
        token_tap: see `EncoderBlock`.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, P, D)`.
        scores: `(B, H, d, d)`, see `CrossCovarianceAttention`.

    Source: El-Nouby et al. 2021, section 3 (https://arxiv.org/abs/2106.09681); reference
    timm/models/xcit.py `XCABlock`.
    """

    local_norm: keras.layers.Layer
    local: LocalInteraction
    local_scale: LayerScale
    local_drop: StochasticDepth

    def _make_sublayers(self):
        super()._make_sublayers()
        self.local_norm = self._norm("local_norm")
        self.local = LocalInteraction(
            self.activation, name="local_interaction", dtype=self.dtype_policy
        )
        if self.layer_scale_init_value is not None:
            self.local_scale = self._layer_scale("local_scale")
        self.local_drop = self._drop("local_drop")

    def _make_attention(self, name):
        return CrossCovarianceAttention(**self._attention_arguments(name))

    def call(self, tokens, grid, score_rows=None, score_tap=None, token_tap=None, training=None):
        """Apply the three branches."""
        outputs, scores = self.attention(
            self.attention_inputs(tokens, token_tap),
            score_rows=score_rows,
            score_tap=score_tap,
            training=training,
        )
        tokens = tokens + self._attention_branch(outputs, training)
        tokens = tokens + self._local_branch(tokens, grid, training)
        return tokens + self._mlp_branch(tokens, training), scores

    def _scores_shape(self, tokens_shape, score_rows: int | None):
        batch, _, width = tokens_shape
        dim = width // self.num_heads
        return batch, self.num_heads, dim, dim

    def _local_branch(self, tokens, grid, training):
        outputs = self.local(self.local_norm(tokens), grid=grid, training=training)
        if self.layer_scale_init_value is not None:
            outputs = self.local_scale(outputs)
        return self.local_drop(outputs, training=training)


@keras.saving.register_keras_serializable(PACKAGE)
class XCiTClassBlock(Block):
    """XCiT's class-attention block, which changes the patches too, each by itself.

    The class token attends to all tokens; a patch gets its own normalised self in the place of what
    attention would give. The MLP is the class token's; the patches are doubled there, as in the
    code that the weights were trained with.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        use_tokens_norm: bool. Whether the norm before the MLP replaces the patches too; else it
            replaces the class token alone.
        **kwargs: the further arguments of `EncoderBlock`, without those of its attention's norms.

    Call arguments:
        tokens: float tensor `(B, 1 + P, D)`, the class token first.
        score_rows, score_tap: see `ClassAttention`.
        token_tap: see `EncoderBlock`.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, 1 + P, D)`.
        scores: `(B, H, 1, 1 + P)`, see `ClassAttention`.

    Source: El-Nouby et al. 2021, section 3.4 (https://arxiv.org/abs/2106.09681); reference
    timm/models/xcit.py `ClassAttentionBlock`.
    """

    def __init__(self, num_heads: int, mlp_dim: int, use_tokens_norm: bool = True, **kwargs):
        super().__init__(num_heads, mlp_dim, **kwargs)
        self.use_tokens_norm = use_tokens_norm

    def _make_attention(self, name):
        return ClassAttention(**self._attention_arguments(name))

    def call(self, tokens, score_rows=None, score_tap=None, token_tap=None, training=None):
        """Let the class token attend, then pass it through the MLP."""
        inputs = self.attention_inputs(tokens, token_tap)
        outputs, scores = self.attention(
            inputs, score_rows=score_rows, score_tap=score_tap, training=training
        )
        outputs = lean_ops.concatenate([outputs, inputs[:, 1:]], axis=1)
        tokens = tokens + self._attention_branch(outputs, training)
        if self.use_tokens_norm:
            tokens = self.mlp_norm(tokens)
            class_token = tokens[:, :1]
        else:
            class_token = self.mlp_norm(tokens[:, :1])
        outputs = self.mlp(class_token, training=training)
        if self._scales("mlp"):
            outputs = self.mlp_scale(outputs)
        outputs = lean_ops.concatenate([outputs, tokens[:, 1:]], axis=1)
        tokens = lean_ops.concatenate([class_token, tokens[:, 1:]], axis=1)
        return tokens + self.mlp_drop(outputs, training=training), scores
