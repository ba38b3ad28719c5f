"""Running on Keras' OpenVINO backend: one compiled graph from the images to every output.

Keras builds a graph as operations are called, and compiles what leads to an array each time that
one is asked for: a call would be compiled once for every score map, and `predict` in whatever
precision the processor prefers. Here a call is one graph, compiled once for a shape, in float32.
"""

import operator
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# How many compiled graphs a model keeps, of other shapes or views; each has a copy of the weights.
_GRAPHS_KEPT = 6

# By the layer that all views of a model share.
_GRAPHS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class _Graph(NamedTuple):
    """A compiled graph, the weights that are in it, and what its outputs are put together to."""

    weights: list[Any]
    code: Any
    structure: Any


def is_in_use() -> bool:
    """Tell whether Keras runs on OpenVINO."""
    import keras

    return keras.backend.backend() == "openvino"


def is_known(tensor: Any) -> bool:
    """Tell whether a tensor's values can be computed now: it depends on no input of a graph."""
    if not hasattr(tensor, "output"):
        return False
    waiting, seen = [tensor.output.get_node()], set()
    while waiting:
        node = waiting.pop()
        if node.get_type_name() == "Parameter":
            return False
        if node.get_name() not in seen:
            seen.add(node.get_name())
            waiting += [value.get_node() for value in node.input_values()]
    return True


def call(model: Any, images: Any) -> Any:
    """Return what a call of a model returns for images that are known, without training.

    Args:
        model: a kerasvit model.
        images: tensor `(B, height, width, C)`.
    """
    import keras

    def forward(tensors):
        return model.call(tensors["images"], training=False)

    arrays = {"images": keras.ops.convert_to_numpy(images)}
    return keras.tree.map_structure(
        keras.ops.convert_to_tensor, run(model, "call", forward, arrays)
    )


def run(
    model: Any,
    key: Hashable,
    function: Callable[[Mapping[str, Any]], Any],
    inputs: Mapping[str, np.ndarray],
) -> Any:
    """Run a function of a model on named arrays, through a compiled graph.

    The graph is compiled again when the weights have changed since; in bfloat16 where the model's
    policy computes in it, else in float32, though the processor may be faster in less.

    Args:
        model: a kerasvit model.
        key: what the graph depends on beside the model and the shapes: the function.
        function: from tensors by name to tensors in any nest.
        inputs: arrays by name.

    Returns:
        Arrays in the same nest.
    """
    import keras

    config = {name: value for name, value in model.get_config().items() if name != "name"}
    shapes = [(name, array.shape, str(array.dtype)) for name, array in inputs.items()]
    key = key, repr((type(model), config, shapes))
    graphs = _GRAPHS.setdefault(model.patch_embedding, {})
    weights = [variable.value for variable in model.variables]
    if key not in graphs or not _are_same(graphs[key].weights, weights):
        graphs.pop(key, None)
        while len(graphs) >= _GRAPHS_KEPT:
            del graphs[next(iter(graphs))]
        graphs[key] = _Graph(weights, *_compile(function, inputs, model.compute_dtype))
    graph = graphs[key]
    # A copy: the runtime writes the next call's values where it wrote these.
    arrays = [np.array(array) for array in graph.code(list(inputs.values())).to_tuple()]
    return keras.tree.pack_sequence_as(graph.structure, arrays)


def _are_same(before: Sequence[Any], now: Sequence[Any]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


def _compile(function: Callable, inputs: Mapping[str, np.ndarray], dtype: str) -> tuple[Any, Any]:
    import keras
    import openvino
    from openvino import opset13 as operations

    tensor_class = type(keras.ops.convert_to_tensor(0.0))
    parameters = {
        name: operations.parameter(list(array.shape), dtype=array.dtype.type)
        for name, array in inputs.items()
    }
    outputs = function({name: tensor_class(node.output(0)) for name, node in parameters.items()})
    flat = [keras.ops.convert_to_tensor(output) for output in keras.tree.flatten(outputs)]
    # Arrays are float32 whatever the graph computes in: NumPy has no bfloat16 of its own.
    results = [operations.result(_as_float32(tensor.output)) for tensor in flat]
    graph = openvino.Model(results=results, parameters=list(parameters.values()))
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32"}
    structure = keras.tree.map_structure(lambda _: 0, outputs)
    return openvino.compile_model(graph, "CPU", hint), structure


def _as_float32(output: Any) -> Any:
    import openvino
    from openvino import opset13 as operations

    low = (openvino.Type.bf16, openvino.Type.f16)
    if output.get_element_type() not in low:
        return output
    return operations.convert(output, "f32").output(0)
