"""The linear mixing of attention heads in CaiT's talking-heads attention."""

import keras
from keras import ops

from kerasvit.layers.base import PACKAGE, ConfiguredLayer, kernel_initializer


@keras.saving.register_keras_serializable(PACKAGE)
class HeadMixing(ConfiguredLayer):
    """Mixes the heads of a score tensor linearly, with the weights that a `Dense` layer has.

    It is no `Dense` layer, so that `model.quantize` leaves these few weights as they are: their
    kernel is used as a matrix, and scores rounded to 8 bits are not what anyone wants to look at.

    Call arguments:
        scores: float tensor `(B, H, Q, N)`.
        scale: float that the kernel is multiplied by.
        use_bias: bool. Whether the bias is added.

    Returns:
        Tensor of the same shape.
    """

    def build(self, input_shape):
        """Create the kernel `(H, H)` and the bias `(H,)`."""
        num_heads = input_shape[1]
        self.kernel = self.add_weight(
            name="kernel", shape=(num_heads, num_heads), initializer=kernel_initializer()
        )
        self.bias = self.add_weight(name="bias", shape=(num_heads,), initializer="zeros")
        self.built = True

    def call(self, scores, scale=1.0, use_bias=True):
        """Mix the heads."""
        return mix_heads(scores, self.kernel * scale, self.bias if use_bias else None)

    def compute_output_shape(self, input_shape):
        """Return the shape of the scores, unchanged."""
        return input_shape


def mix_heads(scores, kernel, bias=None):
    """Mix the heads of a score tensor linearly.

    One matrix product from the left on `(B, H, N * N)`: 1.1 to 1.7 times as fast as moving the
    heads last and applying a dense layer.

    Args:
        scores: tensor `(B, H, Q, N)`.
        kernel: tensor `(H_in, H_out)`, as a `Dense` layer keeps it.
        bias: tensor `(H_out,)` or None.

    Returns:
        Tensor `(B, H_out, Q, N)`.
    """
    batch, num_heads, rows, columns = ops.shape(scores)
    flat = ops.reshape(scores, (batch, num_heads, rows * columns))
    mixed = ops.matmul(ops.transpose(ops.cast(kernel, scores.dtype)), flat)
    if bias is not None:
        mixed = mixed + ops.cast(bias, scores.dtype)[:, None]
    return ops.reshape(mixed, (batch, mixed.shape[1], rows, columns))
