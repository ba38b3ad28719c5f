"""The feed-forward part of a transformer block: a plain MLP and a gated one."""

import keras
from keras import ops

from kerasvit.layers.activations import activation_function
from kerasvit.layers.base import PACKAGE, ConfiguredLayer, kernel_initializer, require_rate


@keras.saving.register_keras_serializable(PACKAGE)
class MLP(ConfiguredLayer):
    """Two dense layers with an activation between them, applied to each token.

    Args:
        mlp_dim: int. Width of the hidden layer.
        activation: str. "gelu" (exact, unlike the default of `keras.ops.gelu`), "gelu_tanh",
            "quick_gelu", "silu" or "relu".
        dropout_rate: float in [0, 1), applied after each dense layer.
        use_bias: bool. Whether the dense layers have biases.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        training: bool or None, as in Keras.

    Returns:
        Tensor `(B, N, D)`.

    Raises:
        ValueError: if the activation is unknown or the rate lies outside [0, 1).

    Source: Dosovitskiy et al. 2021, section 3.1 (https://arxiv.org/abs/2010.11929).
    """

    arguments = ("mlp_dim", "activation", "dropout_rate", "use_bias")
    hidden_factor = 1

    def __init__(
        self,
        mlp_dim: int,
        activation: str = "gelu",
        dropout_rate: float = 0.0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.mlp_dim = mlp_dim
        self.activation = activation
        self.dropout_rate = require_rate("dropout_rate", dropout_rate)
        self.use_bias = use_bias
        self._activate = activation_function(activation)
        self.dense_1 = self._dense(mlp_dim * self.hidden_factor, "dense_1")
        self.dropout = keras.layers.Dropout(dropout_rate, name="dropout", dtype=self.dtype_policy)
        self.dense_2 = None

    def _dense(self, units, name):
        return keras.layers.Dense(
            units,
            use_bias=self.use_bias,
            kernel_initializer=kernel_initializer(),
            name=name,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        """Create the dense layers; the second one restores the width of the tokens."""
        self.dense_1.build(input_shape)
        self.dropout.build(input_shape)
        self.dense_2 = self._dense(input_shape[-1], "dense_2")
        self.dense_2.build((*input_shape[:-1], self.mlp_dim))
        self.built = True

    def call(self, tokens, training=None):
        """Apply both dense layers to every token."""
        hidden = self._hidden(self.dense_1(tokens))
        hidden = self.dropout(hidden, training=training)
        return self.dropout(self.dense_2(hidden), training=training)

    def _hidden(self, projected):
        return self._activate(projected)

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
        dropout_rate: float in [0, 1).
        use_bias: bool.

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

    def _hidden(self, projected):
        gate, value = ops.split(projected, 2, axis=-1)
        return self._activate(gate) * value
