"""Attention pooling: a learned query reads the tokens out, as in SigLIP."""

import keras
from keras import ops

from kerasvit.layers.attention.frame import Attention
from kerasvit.layers.attention.scaled_dot_product import (
    attention_scores,
    merge_heads,
    split_heads,
    split_joint_heads,
)
from kerasvit.layers.base import PACKAGE, kernel_initializer
from kerasvit.layers.mlp import MLP
from kerasvit.layers.primitives.dense import Dense
from kerasvit.layers.primitives.norms import make_norm


@keras.saving.register_keras_serializable(PACKAGE)
class AttentionPooling(Attention):
    """Pools tokens to one feature by attention from a learned query, followed by an MLP.

    Also known as MAP, multihead attention pooling. It is a class attention in all but name: its
    scores tell which tokens the feature was read from.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        activation: str. See `kerasvit.layers.primitives.activations.activation_function`.
        norm_type: "layer" or "rms", of the norm before the MLP.
        layer_norm_epsilon: float.
        use_qkv_bias, use_projection_bias, attention_dropout_rate, dropout_rate: see
            `SelfAttention`.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        score_rows: None returns the scores, 0 returns None for them.
        score_tap: tensor `(B, H, 1, N)` added to the scores, or None; see `SelfAttention`.
        training: bool or None, as in Keras.

    Returns:
        feature: `(B, D)`.
        scores: `(B, H, 1, N)`, softmax probabilities whose row sums to 1; or None.

    Raises:
        ValueError: if D is not divisible by `num_heads`, or a rate lies outside [0, 1).

    Source: Zhai et al. 2022, section 3.3 (https://arxiv.org/abs/2106.04560); reference
    timm/layers/attention_pool.py.
    """

    latent: keras.Variable
    query: Dense
    key_value: Dense
    mlp_norm: keras.layers.Layer
    mlp: MLP

    def __init__(
        self,
        num_heads: int,
        mlp_dim: int,
        activation: str = "gelu",
        norm_type: str = "layer",
        layer_norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(num_heads, **kwargs)
        self.mlp_dim = mlp_dim
        self.activation = activation
        self.norm_type = norm_type
        self.layer_norm_epsilon = layer_norm_epsilon
        self.mlp_norm = make_norm(norm_type, layer_norm_epsilon, "mlp_norm", self.dtype_policy)
        self.mlp = MLP(mlp_dim, activation=activation, name="mlp", dtype=self.dtype_policy)

    def build(self, input_shape):
        """Create the query, the projections and the MLP."""
        width = input_shape[-1]
        self.latent = self.add_weight(
            name="latent", shape=(1, 1, width), initializer=kernel_initializer()
        )
        self.query = self._dense(width, "query", self.use_qkv_bias)
        self.key_value = self._dense(2 * width, "key_value", self.use_qkv_bias)
        for layer in (self.query, self.key_value, self.mlp_norm, self.mlp):
            layer.build(input_shape)
        self._build_projection(input_shape)
        self.output_shape = (input_shape[0], width)
        self.built = True

    def attention_inputs(self, tokens, token_tap=None):
        """Return what the attention reads: the tokens, plus the tap if there is one."""
        return tokens if token_tap is None else tokens + token_tap

    def call(self, tokens, score_rows=None, score_tap=None, token_tap=None, training=None):
        """Let the query attend, and return its scores."""
        tokens = self.attention_inputs(tokens, token_tap)
        query = split_heads(self.query(ops.convert_to_tensor(self.latent)), self.num_heads)
        key, value = split_joint_heads(self.key_value(tokens), 2, self.num_heads)
        scores = self._tapped(attention_scores(query, key), score_tap)
        feature = self._project(merge_heads(self._attend(scores, value, training)), training)
        feature = feature + self.mlp(self.mlp_norm(feature), training=training)
        return feature[:, 0], None if score_rows == 0 else scores
