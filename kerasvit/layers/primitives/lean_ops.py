"""Operations that PyTorch does by itself where it can, and `keras.ops` everywhere else.

A function of `keras.ops` looks for symbolic tensors, moves its arguments and settles their dtypes:
10 to 40 us for what PyTorch does in 2 to 10. The other backends pay that once, in tracing.
Arguments and results are those of the functions of the same name in `keras.ops`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasvit import private_names
from kerasvit.layers.direct_calls import holds_values
from kerasvit.layers.primitives import half_products
from kerasvit.private_names.products import are_followed


def are_torch(*tensors: Any) -> bool:
    """Tell whether all of these are tensors of PyTorch, and PyTorch the backend."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    for tensor in tensors:  # noqa: SIM110 - a generator takes as long as the operation
        if not isinstance(tensor, torch.Tensor):
            return False
    return True


def may_write_over(*tensors: Any) -> bool:
    """Tell whether results may be written into tensors at hand: PyTorch, no gradient, no trace."""
    if not are_torch(*tensors):
        return False
    import torch

    wants_gradient = torch.is_grad_enabled() and any(one.requires_grad for one in tensors)
    is_eager = all(type(one) is torch.Tensor and not one.is_meta for one in tensors)
    is_plain = is_eager and not wants_gradient and not torch.compiler.is_compiling()
    return is_plain and not are_followed()


def weight_tensor(weight):
    """Return the tensor of a weight, of a tensor made of weights, or None for None."""
    if not isinstance(weight, keras.Variable):
        return weight
    return private_names.held_value(weight) if holds_values() else weight.value


def shape(tensor) -> tuple:
    """Return the shape: numbers where they are known, else scalar tensors or None."""
    return tuple(tensor.shape) if are_torch(tensor) else ops.shape(tensor)


def reshape(tensor, newshape: tuple):
    """Lay the elements out in another shape."""
    return tensor.reshape(newshape) if are_torch(tensor) else ops.reshape(tensor, newshape)


def transpose(tensor, axes: tuple[int, ...]):
    """Put the axes in another order."""
    return tensor.permute(axes) if are_torch(tensor) else ops.transpose(tensor, axes)


def matmul(first, second):
    """Multiply the last two axes as matrices of one float dtype."""
    if are_torch(first, second) and first.dtype is second.dtype and first.is_floating_point():
        return first @ second
    if half_products.pays_for(first, second):
        return half_products.half_product(first, second)
    return ops.matmul(first, second)


def cast_like(tensor, other):
    """Convert to the dtype of another tensor."""
    if are_torch(tensor, other):
        return tensor.to(other.dtype)
    return ops.cast(tensor, other.dtype)


def widened(tensor):
    """Convert to float32, unless the tensor has that type or a wider one."""
    if are_torch(tensor):
        import torch

        return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
    return ops.cast(tensor, keras.backend.result_type(tensor.dtype, "float32"))


def gelu(tensor, approximate: bool):
    """Return the Gaussian error linear unit, exact or by its tanh."""
    if are_torch(tensor):
        from torch.nn.functional import gelu

        return gelu(tensor, approximate="tanh" if approximate else "none")
    # In float32, as PyTorch does it: of values left of zero half precision leaves little.
    wide = widened(tensor)
    if approximate or keras.backend.backend() != "jax":
        return cast_like(ops.gelu(wide, approximate=approximate), tensor)
    # By erf: JAX's own takes erfc, 0.89 instead of 0.33 ms for 2,048 tokens of 768, and its
    # gradient 4.0 instead of 2.4. Off by 1.1e-6 at most, as PyTorch's is.
    return cast_like(0.5 * wide * (1 + ops.erf(wide * 0.5**0.5)), tensor)


def concatenate(tensors: Sequence[Any], axis: int):
    """Lay tensors of one dtype one after the other along an axis."""
    if are_torch(*tensors):
        import torch

        return torch.cat(tuple(tensors), dim=axis)
    return ops.concatenate(tensors, axis=axis)


def stack(tensors: Sequence[Any], axis: int):
    """Lay tensors of one shape and dtype beside each other along a new axis."""
    if are_torch(*tensors):
        import torch

        return torch.stack(tuple(tensors), dim=axis)
    return ops.stack(tensors, axis=axis)


def unstack(tensor, count: int, axis: int = 0) -> tuple:
    """Take apart what `stack` has laid beside each other: `count` tensors without the axis.

    The gradient of parts is one tensor that they are laid into. That of indices is a tensor of
    zeros for each, and their sum: a quarter of a training step of a CaiT on TensorFlow.
    """
    if are_torch(tensor):
        return tensor.unbind(axis)
    return tuple(ops.squeeze(part, axis) for part in ops.split(tensor, count, axis=axis))
