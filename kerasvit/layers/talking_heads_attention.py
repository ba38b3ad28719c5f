"""CaiT's self-attention, whose heads are mixed before and after the softmax."""

import keras
from keras import ops

from kerasvit.layers.attention import Attention
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.head_mixing import HeadMixing
from kerasvit.layers.scaled_dot_product import merge_heads, softmax, split_joint_heads


@keras.saving.register_keras_serializable(PACKAGE)
class TalkingHeadsAttention(Attention):
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
        outputs = self._project(merge_heads(self._attend(mixed, value, training)), training)
        if score_rows == 0:
            return outputs, None
        return outputs, probabilities if scores_before_mixing else mixed
