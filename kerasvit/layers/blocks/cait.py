"""CaiT's two blocks: talking heads among the patches, and class attention."""

import keras
from keras import ops

from kerasvit.layers.attention.class_attention import ClassAttention
from kerasvit.layers.attention.talking_heads import TalkingHeadsAttention
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.blocks.frame import Block


@keras.saving.register_keras_serializable(PACKAGE)
class LayerScaleBlock(Block):
    """CaiT's self-attention block: talking heads, LayerScale, no class token.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        **kwargs: the further arguments of `EncoderBlock`, without those of its attention's norms.

    Call arguments:
        tokens: float tensor `(B, P, D)`.
        score_rows, scores_before_mixing, score_tap: see `TalkingHeadsAttention`.
        token_tap: see `EncoderBlock`.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, P, D)`.
        scores: see `TalkingHeadsAttention`.

    Source: Touvron et al. 2021, section 2 (https://arxiv.org/abs/2103.17239).
    """

    def _make_attention(self, name):
        return TalkingHeadsAttention(**self._attention_arguments(name))

    def call(
        self,
        tokens,
        score_rows=None,
        scores_before_mixing=False,
        score_tap=None,
        token_tap=None,
        training=None,
    ):
        """Apply both branches."""
        outputs, scores = self.attention(
            self.attention_inputs(tokens, token_tap),
            score_rows=score_rows,
            scores_before_mixing=scores_before_mixing,
            score_tap=score_tap,
            training=training,
        )
        tokens = tokens + self._attention_branch(outputs, training)
        return tokens + self._mlp_branch(tokens, training), scores


@keras.saving.register_keras_serializable(PACKAGE)
class ClassAttentionBlock(Block):
    """CaiT's class-attention block: it updates the class token and leaves the patches alone.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        **kwargs: the further arguments of `EncoderBlock`, without those of its attention's norms.

    Call arguments:
        class_token: float tensor `(B, 1, D)`.
        patches: float tensor `(B, P, D)`.
        score_rows, score_tap: see `ClassAttention`.
        token_tap: tensor `(B, 1 + P, D)`, see `EncoderBlock`.
        training: bool or None, as in Keras.

    Returns:
        class_token: `(B, 1, D)`.
        scores: `(B, H, 1, 1 + P)`, see `ClassAttention`.

    Source: Touvron et al. 2021, section 3 (https://arxiv.org/abs/2103.17239).
    """

    def _make_attention(self, name):
        return ClassAttention(**self._attention_arguments(name))

    def build(self, class_token_shape, patches_shape=None):
        """Create the weights of every sublayer."""
        super().build(class_token_shape)
        self.output_shape = (class_token_shape[0], 1, class_token_shape[-1])

    def attention_inputs(self, class_token, patches, token_tap=None):
        """Return what the attention reads, the class token first; see `EncoderBlock`."""
        return super().attention_inputs(ops.concatenate([class_token, patches], axis=1), token_tap)

    def call(
        self, class_token, patches, score_rows=None, score_tap=None, token_tap=None, training=None
    ):
        """Apply both branches to the class token."""
        outputs, scores = self.attention(
            self.attention_inputs(class_token, patches, token_tap),
            score_rows=score_rows,
            score_tap=score_tap,
            training=training,
        )
        class_token = class_token + self._attention_branch(outputs, training)
        return class_token + self._mlp_branch(class_token, training), scores
