"""CaiT's self-attention, whose heads are mixed before and after the softmax."""

import keras

from kerasvit.layers.attention.frame import Attention
from kerasvit.layers.attention.head_mixing import HeadMixing, mix_heads
from kerasvit.layers.attention.scaled_dot_product import (
    by_query_chunks,
    merge_heads,
    softmax,
    split_joint_heads,
)
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.dense import Dense
from kerasvit.layers.primitives.fusing import fused_in_graphs


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

    qkv: Dense
    mixing_before: HeadMixing
    mixing_after: HeadMixing

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
        query, key, value = split_joint_heads(self.joint(tokens), 3, self.num_heads)
        scale = query.shape[-1] ** -0.5
        mixings = (
            *self.mixing_before.parameters(scale, use_bias=bool(training)),
            *self.mixing_after.parameters(),
        )
        if score_tap is not None or (training and self.attention_dropout_rate):
            taps = (score_tap, None) if scores_before_mixing else (None, score_tap)
            stages = self._stages(query, key, mixings, taps)
            heads = self._attend(stages[1], value, training)
        elif score_rows == 0:
            heads = by_query_chunks(
                lambda rows: talking_heads(rows, key, value, *mixings)[0], query
            )
            stages = (None, None)
        else:
            heads, *stages = talking_heads(query, key, value, *mixings)
        scores = None if score_rows == 0 else stages[0 if scores_before_mixing else 1]
        return self._project(merge_heads(heads), training), scores

    def joint(self, tokens):
        """Return queries, keys and values side by side, `(B, N, 3 * D)`."""
        return self.qkv(tokens)

    def _stages(self, query, key, mixings, taps):
        """Return the scores before and after the second mixing, with a tap on one of them."""
        probabilities = self._tapped(mixed_probabilities(query, key, *mixings[:2]), taps[0])
        return probabilities, self._tapped(mix_heads(probabilities, *mixings[2:]), taps[1])


def mixed_probabilities(query, key, kernel, bias):
    """Softmax over the keys of products whose heads are mixed.

    Args:
        query, key: tensors `(B, H, N, d)`.
        kernel: tensor `(H, H)`, which holds the scale.
        bias: tensor `(H,)` or None.

    Returns:
        Tensor `(B, H, Q, N)`; each row sums to 1.
    """
    products = lean_ops.matmul(query, lean_ops.transpose(key, (0, 1, 3, 2)))
    return softmax(mix_heads(products, kernel, bias))


@fused_in_graphs
def talking_heads(query, key, value, kernel_before, bias_before, kernel_after, bias_after):
    """Attend with heads mixed before and after the softmax.

    Args:
        query, key, value: tensors `(B, H, N, d)`.
        kernel_before, bias_before: of the mixing before the softmax, see `mixed_probabilities`.
        kernel_after, bias_after: of the mixing after it, see `mix_heads`.

    Returns:
        heads: `(B, H, Q, d)`.
        probabilities: `(B, H, Q, N)`, before the second mixing.
        scores: `(B, H, Q, N)`, after it.
    """
    probabilities = mixed_probabilities(query, key, kernel_before, bias_before)
    scores = mix_heads(probabilities, kernel_after, bias_after)
    return lean_ops.matmul(scores, value), probabilities, scores
