"""Running a model, and differentiating it: one call for every backend, arrays in and out."""

import contextlib
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.backend import require_gradients

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

# `function(model, tensors, *static)`: what a model does with named tensors of Keras' backend.
# Static arguments are hashable and are no tensors.
Function = Callable[..., Any]


def run(
    model: "ScoreModel", function: Function, inputs: Mapping[str, np.ndarray], static: tuple = ()
) -> Any:
    """Run a function of a model without any gradients.

    Args:
        model: a kerasvit model; the function of anything but a Keras model gets the arrays.
        function: returns tensors in any nest of dicts, lists and tuples.
        inputs: float arrays by name.
        static: further arguments of the function, hashable.

    Returns:
        Arrays in the same nest.
    """
    import keras

    with without_gradients():
        if not isinstance(model, keras.Model):
            outputs = function(model, dict(inputs), *static)
        elif keras.backend.backend() == "jax":
            outputs = _compiled(model, function, static, _jax_run)(inputs)
        elif keras.backend.backend() == "openvino":
            outputs = _openvino_run(model, function, inputs, static)
        else:
            outputs = function(model, _tensors(inputs), *static)
    return keras.tree.map_structure(to_numpy, outputs)


def differentiate(
    model: "ScoreModel",
    function: Function,
    inputs: Mapping[str, np.ndarray],
    constants: Mapping[str, np.ndarray],
    static: tuple = (),
) -> tuple[Any, dict[str, np.ndarray]]:
    """Run a function of a model, and differentiate its first result by some of its inputs.

    Args:
        model: a kerasvit model.
        function: returns `(objective, outputs)`: a scalar tensor, and tensors in any nest.
        inputs: float arrays by name; the gradients are by these.
        constants: more arrays for the function, under other names.
        static: further arguments of the function, hashable.

    Returns:
        outputs: arrays in the same nest.
        gradients: by name, float32, shaped as the inputs; zeros where the objective does not depend
            on an input.
    """
    import keras

    require_gradients("This")
    name = keras.backend.backend()
    if name == "jax":
        gradients, outputs = _compiled(model, function, static, _jax_gradients)(inputs, constants)
    else:

        def bound(tensors):
            return function(model, {**tensors, **_tensors(constants)}, *static)

        backend = {"tensorflow": _tensorflow_gradients, "torch": _torch_gradients}[name]
        gradients, outputs = backend(bound, _tensors(inputs))
    outputs = keras.tree.map_structure(to_numpy, outputs)
    return outputs, {name: to_numpy(gradients[name]).astype(np.float32) for name in inputs}


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    import keras

    return {name: keras.ops.convert_to_tensor(array) for name, array in arrays.items()}


def _openvino_run(
    model: "ScoreModel", function: Function, inputs: Mapping[str, np.ndarray], static: tuple
) -> Any:
    from kerasvit.models import openvino

    def bound(tensors):
        return function(model, tensors, *static)

    return openvino.run(model, (function, static), bound, inputs)


def _tensorflow_gradients(function: Function, tensors: dict[str, Any]) -> tuple[Any, Any]:
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        objective, outputs = function(tensors)
    return tape.gradient(objective, tensors, unconnected_gradients="zero"), outputs


def _torch_gradients(function: Function, tensors: dict[str, Any]) -> tuple[Any, Any]:
    import torch

    with torch.enable_grad():
        tensors = {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}
        objective, outputs = function(tensors)
    values = list(tensors.values())
    gradients = torch.autograd.grad(objective, values, allow_unused=True, materialize_grads=True)
    return dict(zip(tensors, gradients, strict=True)), outputs


# Options of XLA for what JAX compiles here; None for its own.
COMPILER_OPTIONS: dict[str, Any] | None = None


def _jax_run(function: Function) -> Callable[..., Any]:
    import jax

    return jax.jit(function, compiler_options=COMPILER_OPTIONS)


def _jax_gradients(function: Function) -> Callable[..., Any]:
    import jax

    def objective(inputs, weights, constants):
        return function({**inputs, **constants}, weights)

    gradients = jax.jit(jax.grad(objective, has_aux=True), compiler_options=COMPILER_OPTIONS)
    return lambda inputs, weights, constants: gradients(inputs, weights, constants)


# By a layer that all views of a model share, so that the compiled code dies with its weights.
_CODE: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _compiled(
    model: "ScoreModel", function: Function, static: tuple, transform: Callable[..., Any]
) -> Callable[..., Any]:
    """Return JAX's compiled code, from the last call for an equal model if there was one.

    Without compiling, JAX works operation by operation, several times as slow. The weights are
    arguments of the code: it stays right when they change.
    """
    import keras

    views = {name: getattr(model, name) for name in (*_VIEW, *model.view_arguments)}
    key = (function, static, transform, repr((views, COMPILER_OPTIONS)))
    shared = _CODE.setdefault(model.patch_embedding, {})
    if key not in shared:
        # Only weakly: the code must not keep alive what it is kept by.
        current: dict[str, Callable[[], Any]] = {}

        def stateless(tensors, weights):
            model = current["model"]()
            mapping = list(zip(model.variables, weights, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(model, tensors, *static)

        shared[key] = current, transform(stateless)
    current, code = shared[key]
    current["model"] = weakref.ref(model)
    weights = [variable.value for variable in model.variables]
    return lambda inputs, *constants: code(dict(inputs), weights, *map(dict, constants))


_VIEW = ("attention", "attention_blocks")


def to_numpy(tensor: Any) -> np.ndarray:
    """Return a tensor of any backend, or an array, as a NumPy array."""
    if isinstance(tensor, np.ndarray):
        return tensor
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


def without_gradients() -> contextlib.AbstractContextManager:
    """Return a context for running a model forward only.

    PyTorch would keep every block's activations for a backward pass that never comes.
    """
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
