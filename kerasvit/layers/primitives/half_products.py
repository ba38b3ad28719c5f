"""Products of bfloat16 that XLA makes on a CPU, with sums in float32.

XLA widens both matrices of a product that is asked for in bfloat16, and multiplies them in float32:
no gain at all. Asked for in float32, the processor multiplies bfloat16 itself where it can
(`avx512_bf16`): 4.6 against 9.7 ms for 1,576 tokens of width 384 and 1,536 units, and the sum is
rounded once. PyTorch and TensorFlow's own product do so by themselves. On JAX such a product has
gradients of any order, and no derivative in forward mode (`jax.jvp`).
"""

import functools
from typing import Any

import keras
from keras import ops

from kerasvit.layers.primitives.devices import is_jax_on_cpu, is_tensorflow_on_cpu
from kerasvit.layers.primitives.fusing import is_traced_for_xla


def pays_for(first: Any, second: Any) -> bool:
    """Tell whether `half_product` takes these tensors, and they are what it is for."""
    if not (is_jax_on_cpu() or (is_traced_for_xla() and is_tensorflow_on_cpu())):
        return False
    both = (first, second)
    dtypes = {keras.backend.standardize_dtype(tensor.dtype) for tensor in both}
    if dtypes != {"bfloat16"} or any(isinstance(tensor, keras.KerasTensor) for tensor in both):
        return False
    ranks = len(first.shape), len(second.shape)
    return min(ranks) > 1 and (ranks[1] == 2 or first.shape[:-2] == second.shape[:-2])


def half_product(first, second):
    """Multiply the last two axes as matrices.

    Args:
        first: tensor of bfloat16, `(..., n, k)`.
        second: tensor of bfloat16, `(..., k, m)` with the same leading axes, or `(k, m)`.

    Returns:
        Tensor of bfloat16, `(..., n, m)`.
    """
    return _differentiable(keras.backend.backend())(first, second)


@functools.cache
def _differentiable(backend):
    # Either's own gradient would multiply the float32 of the sum by bfloat16, in float32.
    if backend == "jax":
        import jax

        product = jax.custom_vjp(_product)
        product.defvjp(lambda *both: (_product(*both), both), _gradients)
        return product
    import tensorflow as tf

    @tf.custom_gradient
    def differentiable(*both):
        return _product(*both), lambda gradient: _gradients(both, gradient)

    return differentiable


def _product(first, second):
    if keras.backend.backend() == "jax":
        import jax.numpy as jnp

        wide = jnp.matmul(first, second, preferred_element_type=jnp.float32)
    else:
        import tensorflow as tf

        wide = tf.raw_ops.BatchMatMulV3(x=first, y=second, Tout=tf.float32)
    return ops.cast(wide, "bfloat16")


def _gradients(both, gradient):
    first, second = both
    of_first = _product(gradient, ops.swapaxes(second, -1, -2))
    if len(second.shape) == 2:
        first = ops.reshape(first, (-1, first.shape[-1]))
        gradient = ops.reshape(gradient, (-1, gradient.shape[-1]))
    return of_first, _product(_laid_out(ops.swapaxes(first, -1, -2)), gradient)


def _laid_out(transposed):
    """Have the elements in memory as the axes say: of others JAX makes the product in float32."""
    if keras.backend.backend() != "jax":
        return transposed
    import jax

    return jax.lax.optimization_barrier(transposed.reshape(-1)).reshape(transposed.shape)
