"""Keras' convolutions of 3x3 pixels in the formulation that is fastest on each backend."""

import keras
from keras import ops

from kerasvit.layers.base import PACKAGE
from kerasvit.layers.direct_calls import DirectCalls
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.lean_ops import are_torch, weight_tensor

# Pixels of zeros on each side: torch.nn.Conv2d(padding=1), whose stride starts at the first pixel.
# Keras' "same" puts all of them after the last one where the stride is 2.
_PADDING = ((0, 0), (1, 1), (1, 1), (0, 0))


@keras.saving.register_keras_serializable(PACKAGE)
class Convolution(DirectCalls, keras.layers.Conv2D):
    """`keras.layers.Conv2D` of 3x3 pixels, channels last, one pixel of zeros on every side."""

    def call(self, images):
        """Return `(B, ceil(height / stride), ceil(width / stride), filters)`."""
        if not are_torch(images):
            return super().call(ops.pad(images, _PADDING))
        return _torch_convolution(images, weight_tensor(self.kernel), self.bias, self.strides)


@keras.saving.register_keras_serializable(PACKAGE)
class DepthwiseConvolution(DirectCalls, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` of 3x3 pixels, channels last, one pixel of zeros around."""

    def call(self, images):
        """Return the image with each channel convolved by itself: the same shape."""
        if keras.backend.backend() == "jax":
            return _sum_of_shifted(images, self.kernel) + self.bias
        if not are_torch(images):
            return super().call(images)
        kernel = weight_tensor(self.kernel).transpose(2, 3)
        return _torch_convolution(images, kernel, self.bias, 1, groups=images.shape[-1])


def _sum_of_shifted(images, kernel):
    """Convolve each channel by itself as nine products, which XLA computes in one pass.

    Its own convolution takes 7 to 40 times as long on a CPU (14x14 to 64x64 patches, widths 128 to
    384), with gradients 3 to 20 times; and where devices share a model it multiplies the kernel's
    gradient by their number (jaxlib 0.10.2).
    """
    padded, kernel = lean_ops.widened(ops.pad(images, _PADDING)), lean_ops.widened(kernel)
    ends = (-2, -1, None)
    total = sum(
        padded[:, row : ends[row], column : ends[column]] * kernel[row, column, :, 0]
        for row in range(3)
        for column in range(3)
    )
    return lean_ops.cast_like(total, images)


def _torch_convolution(images, kernel, bias, strides, groups=1):
    """Convolve without copying: PyTorch takes channels last as a layout of its own.

    A depthwise convolution of 14x14 patches of width 128, batch 8, takes 0.09 ms so, and 1.2 in
    PyTorch's usual layout.
    """
    from torch.nn.functional import conv2d

    images, kernel = images.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1)
    outputs = conv2d(images, kernel, weight_tensor(bias), strides, padding=1, groups=groups)
    return outputs.permute(0, 2, 3, 1)
