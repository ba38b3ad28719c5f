"""XCiT's convolutional stem: from pixels to tokens by convolutions that halve the image."""

import keras
from keras import ops

from kerasvit.layers.base import (
    PACKAGE,
    ConfiguredLayer,
    require,
    require_at_least,
    uniform_initializer,
)
from kerasvit.layers.patch_grid import grid_of_images, patch_grid
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.activations import activation_function
from kerasvit.layers.primitives.convolutions import Convolution
from kerasvit.layers.primitives.norms import BatchNormalization
from kerasvit.layers.traced_resampling import are_known


@keras.saving.register_keras_serializable(PACKAGE)
class ConvolutionalStem(ConfiguredLayer):
    """Convolutions of 3x3 pixels and stride 2, batch normalised, with activations between them.

    There are as many as it takes for one pixel of the last to stand for a patch; each has twice the
    channels of the one before, the last `hidden_dim`.

    Args:
        hidden_dim: int. Width of a token.
        patch_size: `(height, width)` of a patch in pixels: one power of two, twice.
        activation: str. Of the layers between, see
            `kerasvit.layers.primitives.activations.activation_function`.
        batch_norm_epsilon: float.
        batch_norm_momentum: float in [0, 1). Share of the moving statistics that a training step
            keeps; PyTorch calls the rest the momentum.

    Call arguments:
        images: float tensor `(B, height, width, C)`, channels last on every backend.
        training: bool or None, as in Keras.

    Returns:
        Tensor `(B, P, D)`: the patches row by row.

    Raises:
        ValueError: if the patches are no squares of a power of two, `hidden_dim` is too small for
            so many halvings, or the patch size does not divide the image size.

    Source: El-Nouby et al. 2021, section 3.4 (https://arxiv.org/abs/2106.09681); reference
    timm/models/xcit.py `ConvPatchEmbed`.
    """

    # Pixels that fill no patch are refused.
    ignore_remainder = False

    def __init__(
        self,
        hidden_dim: int,
        patch_size: tuple[int, int] = (16, 16),
        activation: str = "gelu",
        batch_norm_epsilon: float = 1e-5,
        batch_norm_momentum: float = 0.9,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_at_least(1, hidden_dim=hidden_dim)
        self.hidden_dim = hidden_dim
        self.patch_size = tuple(patch_size)
        self.activation = activation
        self.batch_norm_epsilon = batch_norm_epsilon
        self.batch_norm_momentum = batch_norm_momentum
        self._activate = activation_function(activation)
        widths = stem_widths(hidden_dim, self.patch_size)
        self.convolutions = [self._convolution(width, i) for i, width in enumerate(widths)]
        self.norms = [self._norm(i) for i in range(len(widths))]

    def _convolution(self, width, index):
        return Convolution(
            width,
            kernel_size=3,
            strides=2,
            padding="valid",
            data_format="channels_last",
            use_bias=False,
            name=f"convolution_{index}",
            dtype=self.dtype_policy,
        )

    def _norm(self, index):
        return BatchNormalization(
            epsilon=self.batch_norm_epsilon,
            momentum=self.batch_norm_momentum,
            name=f"norm_{index}",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        """Create the convolutions and their norms."""
        channels = input_shape[-1]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            # As PyTorch starts its convolutions, which the reference code leaves as they are.
            convolution.kernel_initializer = uniform_initializer(9 * channels)
            convolution.build((input_shape[0], None, None, channels))
            channels = convolution.filters
            norm.build((input_shape[0], None, None, channels))
        self.built = True

    def grid_of(self, images) -> tuple[int, int]:
        """Return `(rows, columns)` of the patches of images `(B, height, width, C)`.

        They are whole scalars of the backend where a trace leaves the size open.
        """
        return grid_of_images(images, self.patch_size)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return `(rows, columns)` of the patches of an image of this size."""
        return patch_grid(height, width, self.patch_size)

    def call(self, images, training=None):
        """Halve the image again and again, and lay out its pixels in one row-major sequence."""
        rows, columns = self.grid_of(images)
        for index, convolution in enumerate(self.convolutions):
            images = self._activate(images) if index else images
            images = self.norms[index](convolution(images), training=training)
        # The batch keeps an open size that the patches don't divide from mixing images.
        batch = -1 if are_known(rows, columns) else lean_ops.shape(images)[0]
        return ops.reshape(images, (batch, rows * columns, self.hidden_dim))

    def compute_output_shape(self, input_shape):
        """Return `(B, P, D)`."""
        rows, columns = self.grid(*input_shape[1:3])
        return (input_shape[0], rows * columns, self.hidden_dim)


def stem_widths(hidden_dim: int, patch_size: tuple[int, ...]) -> list[int]:
    """Return the channels of each convolution of a stem.

    Raises:
        UsageError: if there is no such stem.
    """
    side = patch_size[0]
    count = side.bit_length() - 1
    require(
        len(set(patch_size)) == 1 and count > 0 and side == 2**count,
        "The convolutional stem makes patches of 2, 4, 8, 16 or 32 pixels, squares. "
        f"Received: patch_size={tuple(patch_size)}",
    )
    require(
        hidden_dim % 2 ** (count - 1) == 0,
        f"hidden_dim must be a multiple of {2 ** (count - 1)} for a convolutional stem of "
        f"{count} layers. Received: hidden_dim={hidden_dim}",
    )
    return [hidden_dim >> shift for shift in reversed(range(count))]
