"""Gradients of a function of tensors, the same call on three backends."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasvit.saliency.request import to_numpy

# From named tensors to the number that is differentiated, and named tensors to return beside it.
Function = Callable[[dict[str, Any]], tuple[Any, Any]]


def value_and_gradients(
    function: Function, inputs: Mapping[str, np.ndarray]
) -> tuple[Any, dict[str, np.ndarray]]:
    """Run a function and differentiate its first result with respect to all its inputs.

    Args:
        function: takes a dict of tensors of Keras' backend and returns `(objective, outputs)`: a
            scalar tensor, and tensors in any nest of dicts, lists and tuples.
        inputs: float arrays by name.

    Returns:
        outputs: as arrays, in the same nest.
        gradients: by name, float32, shaped as the inputs; zeros where the objective does not depend
            on an input.
    """
    import keras

    tensors = {name: keras.ops.convert_to_tensor(array) for name, array in inputs.items()}
    outputs, gradients = _BACKENDS[keras.backend.backend()](function, tensors)
    outputs = keras.tree.map_structure(to_numpy, outputs)
    return outputs, {name: to_numpy(gradients[name]).astype(np.float32) for name in inputs}


def _jax(function: Function, tensors: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import jax

    gradients, outputs = jax.grad(function, has_aux=True)(tensors)
    return outputs, gradients


def _tensorflow(function: Function, tensors: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        objective, outputs = function(tensors)
    return outputs, tape.gradient(objective, tensors, unconnected_gradients="zero")


def _torch(function: Function, tensors: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import torch

    with torch.enable_grad():
        tensors = {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}
        objective, outputs = function(tensors)
    values = list(tensors.values())
    gradients = torch.autograd.grad(objective, values, allow_unused=True, materialize_grads=True)
    return outputs, dict(zip(tensors, gradients, strict=True))


_BACKENDS = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
