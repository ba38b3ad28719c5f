"""XCiT's exchange between neighbouring patches, which its attention leaves to this layer."""

import keras

from kerasvit.layers.base import PACKAGE, ConfiguredLayer, uniform_initializer
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.activations import activation_function
from kerasvit.layers.primitives.convolutions import DepthwiseConvolution
from kerasvit.layers.primitives.norms import BatchNormalization


@keras.saving.register_keras_serializable(PACKAGE)
class LocalInteraction(ConfiguredLayer):
    """Two depthwise convolutions of 3x3 patches, an activation and a batch norm between them.

    Args:
        activation: str. See `kerasvit.layers.primitives.activations.activation_function`.
        batch_norm_epsilon: float.
        batch_norm_momentum: float in [0, 1), see `ConvolutionalStem`.

    Call arguments:
        tokens: float tensor `(B, rows * columns, D)`.
        grid: `(rows, columns)` of these tokens.
        training: bool or None, as in Keras.

    Returns:
        Tensor of the same shape.

    Source: El-Nouby et al. 2021, section 3.3 (https://arxiv.org/abs/2106.09681); reference
    timm/models/xcit.py `LPI`.
    """

    def __init__(
        self,
        activation: str = "gelu",
        batch_norm_epsilon: float = 1e-5,
        batch_norm_momentum: float = 0.9,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = activation
        self.batch_norm_epsilon = batch_norm_epsilon
        self.batch_norm_momentum = batch_norm_momentum
        self._activate = activation_function(activation)
        self.convolution_1 = self._convolution("convolution_1")
        self.norm = BatchNormalization(
            epsilon=batch_norm_epsilon,
            momentum=batch_norm_momentum,
            name="norm",
            dtype=self.dtype_policy,
        )
        self.convolution_2 = self._convolution("convolution_2")

    def _convolution(self, name):
        return DepthwiseConvolution(
            kernel_size=3,
            padding="same",
            data_format="channels_last",
            depthwise_initializer=uniform_initializer(9),
            name=name,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        """Create the convolutions and the norm."""
        shape = (input_shape[0], None, None, input_shape[-1])
        for layer in (self.convolution_1, self.norm, self.convolution_2):
            layer.build(shape)
        self.built = True

    def call(self, tokens, grid, training=None):
        """Lay the tokens out on their grid and let neighbours exchange."""
        width = tokens.shape[-1]
        images = lean_ops.reshape(tokens, (-1, *grid, width))
        images = self._activate(self.convolution_1(images))
        images = self.convolution_2(self.norm(images, training=training))
        return lean_ops.reshape(images, (-1, grid[0] * grid[1], width))

    def compute_output_shape(self, input_shape):
        """Return the shape of the tokens, unchanged."""
        return input_shape
