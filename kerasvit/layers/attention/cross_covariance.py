"""XCiT's attention of channels to channels, whose cost grows with the tokens, not their square."""

import keras
from keras import ops

from kerasvit.layers.attention.frame import Attention
from kerasvit.layers.attention.scaled_dot_product import softmax
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.dense import Dense

# torch.nn.functional.normalize divides by no less.
_SMALLEST_NORM = 1e-12


@keras.saving.register_keras_serializable(PACKAGE)
class CrossCovarianceAttention(Attention):
    """Attention of each channel of a head to the head's channels, over all tokens.

    A channel's query is what it holds at every token, of length 1; how much it takes of another
    channel's value depends on how alike the two are over the whole image. Tokens do not exchange
    anything: the scores say nothing of places.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        use_qkv_bias: bool. Whether the joint query, key and value projection has a bias.
        use_projection_bias: bool. Whether the output projection has a bias.
        attention_dropout_rate: float in [0, 1), share of the scores dropped while training. The
            returned scores are those before dropout.
        dropout_rate: float in [0, 1), applied to the output.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        score_rows: None returns the scores, 0 returns None for them.
        score_tap: tensor `(B, H, d, d)` added to the scores, or None; see `SelfAttention`.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, N, D)`.
        scores: `(B, H, d, d)` with `d = D / H`: softmax probabilities, a row for each channel of
            the output, which sums to 1 over the channels of the values; or None.

    Raises:
        ValueError: if D is not divisible by `num_heads`, or a rate lies outside [0, 1).

    Source: El-Nouby et al. 2021, section 3.2, equation 3 (https://arxiv.org/abs/2106.09681);
    reference timm/models/xcit.py `XCA`.
    """

    qkv: Dense
    temperature: keras.Variable

    def build(self, input_shape):
        """Create the projections and the temperatures, one a head."""
        self.qkv = self._dense(3 * input_shape[-1], "qkv", self.use_qkv_bias)
        self.qkv.build(input_shape)
        self._build_projection(input_shape)
        self.temperature = self.add_weight(
            name="temperature", shape=(self.num_heads, 1, 1), initializer="ones"
        )
        self.built = True

    def call(self, tokens, score_rows=None, score_tap=None, training=None):
        """Attend, and return the scores."""
        query, key, value = split_channels(self.qkv(tokens), self.num_heads)
        query, key = unit_length(query), unit_length(key)
        products = lean_ops.matmul(query, lean_ops.transpose(key, (0, 1, 3, 2)))
        scores = self._tapped(
            softmax(products * lean_ops.weight_tensor(self.temperature)), score_tap
        )
        outputs = merge_channels(self._attend(scores, value, training))
        return self._project(outputs, training), None if score_rows == 0 else scores


def split_channels(joint, num_heads: int):
    """Split a joint projection `(B, N, 3 * D)` into three tensors `(B, H, D / H, N)`."""
    batch, length, width = lean_ops.shape(joint)
    channels = lean_ops.reshape(joint, (batch, length, 3, num_heads, width // (3 * num_heads)))
    channels = lean_ops.transpose(channels, (2, 0, 3, 4, 1))
    return lean_ops.unstack(channels, 3)


def merge_channels(channels):
    """Reshape `(B, H, d, N)` to `(B, N, H * d)`."""
    batch, num_heads, dim, length = lean_ops.shape(channels)
    return lean_ops.reshape(
        lean_ops.transpose(channels, (0, 3, 1, 2)), (batch, length, num_heads * dim)
    )


def unit_length(vectors):
    """Scale the vectors along the last axis to a length of 1, measured in float32 at least."""
    wide = lean_ops.widened(vectors)
    if lean_ops.are_torch(vectors):
        from torch.nn.functional import normalize

        return lean_ops.cast_like(normalize(wide, dim=-1, eps=_SMALLEST_NORM), vectors)
    squares = ops.sum(ops.square(wide), axis=-1, keepdims=True)
    # By the squares: the gradient of a root at zero is no number, but where PyTorch says so.
    scale = ops.rsqrt(ops.maximum(squares, _SMALLEST_NORM**2))
    return vectors * ops.cast(scale, vectors.dtype)
