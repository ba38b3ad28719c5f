"""Keras' dense layer in the formulation that is fastest on each backend."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kerasvit.layers.base import PACKAGE, kernel_initializer
from kerasvit.layers.direct_calls import DirectCalls, infers, is_inference
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.activations import activation_function
from kerasvit.layers.primitives.devices import is_jax_on_cpu
from kerasvit.layers.primitives.lean_ops import weight_tensor
from kerasvit.private_names import held_kernel, products

# Products of numbers from which oneDNN is the faster one.
_FEWEST_PRODUCTS = 2**23


@keras.saving.register_keras_serializable(PACKAGE)
class Dense(DirectCalls, keras.layers.Dense):
    """Keras' own dense layer, its product and its bias computed by `affine`.

    Arguments, weights and their paths, LoRA and quantization are those of `keras.layers.Dense`.
    """

    def call(self, inputs, training=None):
        """Multiply by the kernel and add the bias."""
        outputs = affine(inputs, held_kernel(self), self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantize as Keras does, which would take this subclass for somebody else's layer."""
        super().quantize(mode, type_check=False, config=config)


def make_dense(units: int, name: str, use_bias: bool, dtype: Any) -> Dense:
    """Return a dense layer that starts as the papers' do.

    Args:
        units: int. Width of what it returns.
        name: of the layer.
        use_bias: bool. Whether it has a bias.
        dtype: of the layer, or its policy.
    """
    return Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=kernel_initializer(),
        name=name,
        dtype=dtype,
    )


def affine(inputs, kernel, bias=None):
    """Multiply the last axis by a kernel and add a bias.

    PyTorch adds the bias inside its product, which saves a pass over the result, and in inference
    on a CPU it has oneDNN multiply (`kerasvit.private_names.products`). TensorFlow does
    so for a product of matrices, and for no other: the leading axes are merged for it, 17 against
    22 ms for 1,576 tokens of width 384 and 1,536 units. JAX takes both alike on a CPU, but not
    their gradients: of more than two axes XLA lays what comes from above out anew before the
    kernel's, a seventh of a training step of a CaiT. On a TPU, whose memory is laid out in tiles of
    8 tokens, merging 197 of them with the batch copies everything: 1.51 against 1.27 GB moved by a
    ViT-S/16 of 8 images.

    Args:
        inputs: tensor `(..., D)`.
        kernel: tensor `(D, units)`.
        bias: tensor `(units,)` or None.

    Returns:
        Tensor `(..., units)`.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return _torch_affine(inputs, kernel, bias)
    is_wide = backend == "jax" and not is_jax_on_cpu()
    return (wide_affine if is_wide else flat_affine)(inputs, kernel, bias)


def wide_affine(inputs, kernel, bias=None):
    """Do what `affine` does with the leading axes as they are."""
    outputs = lean_ops.matmul(inputs, ops.convert_to_tensor(kernel))
    return outputs if bias is None else ops.add(outputs, bias)


def flat_affine(inputs, kernel, bias=None):
    """Do what `affine` does as one product of two matrices."""
    width, units = kernel.shape
    flat = lean_ops.matmul(ops.reshape(inputs, (-1, width)), ops.convert_to_tensor(kernel))
    if bias is not None:
        flat = ops.add(flat, bias)
    return ops.reshape(flat, (*ops.shape(inputs)[:-1], units))


def activated(dense: Dense, inputs, name: str, activate: Callable):
    """Return the activation of a dense layer's outputs.

    On PyTorch and a CPU, where a product without a gradient may go by oneDNN, the activation goes
    with it, without a pass over the outputs of its own.

    Args:
        dense: the layer.
        inputs: of the layer.
        name: of the activation, as `activation_function` takes it.
        activate: the activation.
    """
    is_one = type(dense) is Dense and dense.activation is keras.activations.linear
    is_named = products.has_activation(name) and activate is activation_function(name)
    if is_one and is_named and infers(dense, inputs):
        kernel, bias = weight_tensor(held_kernel(dense)), weight_tensor(dense.bias)
        if _pays(inputs, kernel):
            return products.linear(inputs, kernel, bias, name)
    return activate(dense(inputs))


def _torch_affine(inputs, kernel, bias):
    from torch.nn.functional import linear

    kernel, bias = weight_tensor(kernel), weight_tensor(bias)
    if is_inference() and _pays(inputs, kernel):
        return products.linear(inputs, kernel, bias)
    return linear(inputs, kernel.t(), bias)


def _pays(inputs, kernel) -> bool:
    """Tell whether a product on PyTorch is large enough for oneDNN, and the pass still for values.

    Of 197 tokens, 384 wide, and 1,536 units it takes 1.16 instead of 1.41 ms on two cores, with
    GELU 1.24 instead of 1.53; of a single token, twice the 24 us of PyTorch's own.
    """
    import torch

    is_large = inputs.numel() * kernel.shape[1] >= _FEWEST_PRODUCTS
    is_float = kernel.dtype is inputs.dtype and not torch.is_autocast_enabled("cpu")
    return is_large and is_float and not torch.is_grad_enabled()
