"""Activations by the names that configs use, each with its approximation stated."""

from collections.abc import Callable

from keras import ops

from kerasvit.errors import UsageError
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.fusing import fused_in_graphs


@fused_in_graphs
def _gelu(values):
    return lean_ops.gelu(values, approximate=False)


@fused_in_graphs
def _gelu_tanh(values):
    return lean_ops.gelu(values, approximate=True)


@fused_in_graphs
def _quick_gelu(values):
    return values * ops.sigmoid(1.702 * values)


_FUNCTIONS = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "quick_gelu": _quick_gelu,
    "silu": ops.silu,
    "relu": ops.relu,
}


def activation_function(name: str) -> Callable:
    """Return the activation of that name.

    Args:
        name: "gelu" (exact), "gelu_tanh", "quick_gelu" (x * sigmoid(1.702 x), as in CLIP), "silu"
            or "relu".

    Raises:
        UsageError: if the name is none of these.
    """
    if name not in _FUNCTIONS:
        raise UsageError(f"activation must be one of {sorted(_FUNCTIONS)}. Received: {name!r}")
    return _FUNCTIONS[name]
