"""The linear mixing of attention heads in CaiT's talking-heads attention."""

import keras
from keras import ops

from kerasvit.layers.base import PACKAGE, ConfiguredLayer, kernel_initializer
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.fusing import fuses_operations

FEW_HEADS = 8


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

    kernel: keras.Variable
    bias: keras.Variable

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
        return mix_heads(scores, *self.parameters(scale, use_bias))

    def parameters(self, scale=1.0, use_bias=True):
        """Return what `mix_heads` takes: the kernel times the scale, and the bias or None."""
        bias = lean_ops.weight_tensor(self.bias) if use_bias else None
        return lean_ops.weight_tensor(self.kernel) * scale, bias

    def compute_output_shape(self, input_shape):
        """Return the shape of the scores, unchanged."""
        return input_shape


def mix_heads(scores, kernel, bias=None):
    """Mix the heads of a score tensor linearly.

    XLA adds up to `FEW_HEADS` heads one by one faster than it multiplies by a small matrix: 0.4
    against 3.3 ms for `(8, 4, 196, 196)`, 1.9 against 4.1 ms for 8 heads.

    Args:
        scores: tensor `(B, H, Q, N)`.
        kernel: tensor `(H_in, H_out)`, as a `Dense` layer keeps it.
        bias: tensor `(H_out,)` or None.

    Returns:
        Tensor `(B, H_out, Q, N)`.
    """
    kernel = lean_ops.cast_like(kernel, scores)
    bias = None if bias is None else lean_ops.cast_like(bias, scores)
    if fuses_operations() and kernel.shape[0] <= FEW_HEADS:
        return sum_heads(scores, kernel, bias)
    return multiply_heads(scores, kernel, bias)


def multiply_heads(scores, kernel, bias=None):
    """Mix as one matrix product from the left on `(B, H, Q * N)`; see `mix_heads`.

    It is 1.1 to 1.7 times as fast as moving the heads last and applying a dense layer.
    """
    batch, num_heads, rows, columns = lean_ops.shape(scores)
    flat = lean_ops.reshape(scores, (batch, num_heads, rows * columns))
    mixed = lean_ops.matmul(lean_ops.transpose(kernel, (1, 0)), flat)
    if bias is not None:
        mixed = mixed + bias[:, None]
    return lean_ops.reshape(mixed, (batch, mixed.shape[1], rows, columns))


def sum_heads(scores, kernel, bias=None):
    """Mix by adding the weighted heads up one by one; see `mix_heads`."""
    inputs, outputs = kernel.shape
    heads = lean_ops.unstack(scores, inputs, axis=1)
    mixed = [
        sum(heads[head] * kernel[head, output] for head in range(inputs))
        for output in range(outputs)
    ]
    if bias is not None:
        mixed = [head + bias[index] for index, head in enumerate(mixed)]
    return ops.stack(mixed, axis=1)
