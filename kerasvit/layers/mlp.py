"""The feed-forward part of a transformer block: a plain MLP and a gated one."""

from typing import ClassVar

import keras
from keras import ops

from kerasvit.layers.base import PACKAGE, ConfiguredLayer, require_rate
from kerasvit.layers.primitives.activations import activation_function
from kerasvit.layers.primitives.dense import Dense, activated, make_dense
from kerasvit.layers.primitives.dropout import Dropout
from kerasvit.layers.primitives.norms import make_norm


@keras.saving.register_keras_serializable(PACKAGE)
class MLP(ConfiguredLayer):
    """Two dense layers with an activation between them, applied to each token.

    Args:
        mlp_dim: int. Width of the hidden layer.
        activation: str. "gelu" (exact, unlike the default of `keras.ops.gelu`), "gelu_tanh",
            "quick_gelu", "silu" or "relu".
        dropout_rate: float in [0, 1), applied after each dense layer.
        use_bias: bool. Whether the dense layers have biases.
        use_output_bias: bool or None. Whether the second one has; None for as `use_bias`.
        use_sub_norm: bool. Whether the hidden layer is normalised after its activation, as in
            BEiT-3.
        norm_type: "layer" or "rms", of this normalisation.
        layer_norm_epsilon: float. Its epsilon.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        training: bool or None, as in Keras.

    Returns:
        Tensor `(B, N, D)`.

    Raises:
        ValueError: if the activation is unknown or the rate lies outside [0, 1).

    Source: Dosovitskiy et al. 2021, section 3.1 (https://arxiv.org/abs/2010.11929); hidden norm:
    Wang et al. 2022 (https://arxiv.org/abs/2210.06423).
    """

    dense_1: Dense
    dense_2: Dense
    dropout: Dropout
    sub_norm: keras.layers.Layer
    hidden_factor: ClassVar[int] = 1

    def __init__(
        self,
        mlp_dim: int,
        activation: str = "gelu",
        dropout_rate: float = 0.0,
        use_bias: bool = True,
        use_output_bias: bool | None = None,
        use_sub_norm: bool = False,
        norm_type: str = "layer",
        layer_norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.mlp_dim = mlp_dim
        self.activation = activation
        self.dropout_rate = require_rate("dropout_rate", dropout_rate)
        self.use_bias = use_bias
        self.use_output_bias = use_output_bias
        self.use_sub_norm = use_sub_norm
        self.norm_type = norm_type
        self.layer_norm_epsilon = layer_norm_epsilon
        self._activate = activation_function(activation)
        units = mlp_dim * self.hidden_factor
        self.dense_1 = make_dense(units, "dense_1", use_bias, self.dtype_policy)
        self.dropout = Dropout(dropout_rate, name="dropout", dtype=self.dtype_policy)

    def build(self, input_shape):
        """Create the dense layers; the second one restores the width of the tokens."""
        self.dense_1.build(input_shape)
        self.dropout.build(input_shape)
        hidden_shape = (*input_shape[:-1], self.mlp_dim)
        if self.use_sub_norm:
            self.sub_norm = make_norm(
                self.norm_type, self.layer_norm_epsilon, "sub_norm", self.dtype_policy
            )
            self.sub_norm.build(hidden_shape)
        use_bias = self.use_bias if self.use_output_bias is None else self.use_output_bias
        self.dense_2 = make_dense(input_shape[-1], "dense_2", use_bias, self.dtype_policy)
        self.dense_2.build(hidden_shape)
        self.built = True

    def call(self, tokens, training=None):
        """Apply both dense layers to every token."""
        hidden = self._hidden(tokens)
        hidden = self.dropout(hidden, training=training)
        if self.use_sub_norm:
            hidden = self.sub_norm(hidden)
        return self.dropout(self.dense_2(hidden), training=training)

    def _hidden(self, tokens):
        return activated(self.dense_1, tokens, self.activation, self._activate)

    def compute_output_shape(self, input_shape):
        """Return the shape of the tokens, unchanged."""
        return input_shape


@keras.saving.register_keras_serializable(PACKAGE)
class GatedMLP(MLP):
    """A gated MLP: one half of the first dense layer, activated, multiplies the other half.

    With `activation="silu"` it is SwiGLU, as in DINOv2's giant model. The first dense layer has
    `2 * mlp_dim` units: the gate first, the value second.

    Args:
        mlp_dim: int. Width after gating.
        activation: str. Activation of the gate. Defaults to "silu".
        **kwargs: the further arguments of `MLP`.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        training: bool or None, as in Keras.

    Returns:
        Tensor `(B, N, D)`.

    Source: Shazeer 2020 (https://arxiv.org/abs/2002.05202); the packing order is that of
    dinov2/layers/swiglu_ffn.py.
    """

    hidden_factor = 2

    def __init__(self, mlp_dim: int, activation: str = "silu", **kwargs):
        super().__init__(mlp_dim, activation=activation, **kwargs)

    def _hidden(self, tokens):
        gate, value = ops.split(self.dense_1(tokens), 2, axis=-1)
        return self._activate(gate) * value
