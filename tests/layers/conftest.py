"""Tools that the tests of layers share: random weights, gradients, weights carried to torch."""

import types

import keras
import numpy as np
import pytest


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def randomise(layer, seed=0, scale=0.5):
    """Give every weight a random value: the initial ones hide scales, biases and embeddings."""
    rng = np.random.default_rng(seed)
    for variable in layer.weights:
        variable.assign(rng.normal(scale=scale, size=variable.shape))
    return layer


def built(layer, *shapes, seed=0):
    layer.build(*shapes)
    return randomise(layer, seed)


def random_tokens(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def copy_dense(source, target):
    """Copy a Keras layer with a kernel and perhaps a bias into a torch Linear or Conv2d."""
    import torch

    kernel = to_numpy(source.kernel)
    kernel = kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)
    with torch.no_grad():
        target.weight.copy_(torch.tensor(np.ascontiguousarray(kernel)))
        assert (target.bias is None) == (source.bias is None)
        if source.bias is not None:
            target.bias.copy_(torch.tensor(to_numpy(source.bias)))


def copy_norm(source, target):
    """Copy a Keras LayerNormalization into torch's."""
    import torch

    with torch.no_grad():
        target.weight.copy_(torch.tensor(to_numpy(source.gamma)))
        target.bias.copy_(torch.tensor(to_numpy(source.beta)))


def run_torch(module, *arrays):
    """Return a torch module's output in evaluation mode as an array."""
    import torch

    with torch.no_grad():
        return module.eval()(*(torch.tensor(array) for array in arrays)).numpy()


def gradients(layer, loss):
    """Return the gradients of `loss()` with respect to the layer's trainable variables, by name."""
    variables = layer.trainable_variables
    grads = _GRADIENTS[keras.backend.backend()](variables, loss)
    return {
        variable.path.split("/", 1)[-1]: to_numpy(grad)
        for variable, grad in zip(variables, grads, strict=True)
    }


def _torch_gradients(variables, loss):
    for variable in variables:
        variable.value.grad = None
    loss().backward()
    return [variable.value.grad for variable in variables]


def _tensorflow_gradients(variables, loss):
    import tensorflow as tf

    values = [variable.value for variable in variables]
    with tf.GradientTape() as tape:
        result = loss()
    return tape.gradient(result, values)


def _jax_gradients(variables, loss):
    import jax

    def stateless(values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss()

    return jax.grad(stateless)([variable.value for variable in variables])


_GRADIENTS = {
    "torch": _torch_gradients,
    "tensorflow": _tensorflow_gradients,
    "jax": _jax_gradients,
}


@pytest.fixture(scope="session")
def tools():
    functions = (
        to_numpy,
        randomise,
        built,
        random_tokens,
        copy_dense,
        copy_norm,
        run_torch,
        gradients,
    )
    return types.SimpleNamespace(**{function.__name__: function for function in functions})
