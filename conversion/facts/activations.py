"""Activations by the names that other libraries give them."""

from typing import Any

from kerasvit.errors import InputError

# Names in configs of timm and transformers, and of the classes of torch, timm and transformers,
# in lower case. transformers' "gelu_fast" is the tanh approximation in other brackets.
_NAMES = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "geluactivation": "gelu",
    "gelu_tanh": "gelu_tanh",
    "gelutanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "newgeluactivation": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "pytorchgelutanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "fastgeluactivation": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "quickgelu": "quick_gelu",
    "quickgeluactivation": "quick_gelu",
    "silu": "silu",
    "siluactivation": "silu",
    "swish": "silu",
    "relu": "relu",
}


def activation_named(name: str, origin: str) -> str:
    """Return our name of an activation.

    Args:
        name: its name in a config, or of its class.
        origin: who says it, for the message.

    Raises:
        InputError: if it is none that a model of this package has.
    """
    if name.lower() not in _NAMES:
        raise InputError(
            f"The activation must be one of {', '.join(sorted(set(_NAMES.values())))}. "
            f"Received: {name!r} ({origin}). Such a network cannot be converted"
        )
    return _NAMES[name.lower()]


def activation_of(module: Any, origin: str) -> str:
    """Return our name of what an activation module, or function, computes.

    Raises:
        InputError: if it is none that a model of this package has.
    """
    name = type(module).__name__
    if name in ("function", "builtin_function_or_method"):
        name = module.__name__
    if name.lower() == "gelu" and getattr(module, "approximate", "none") == "tanh":
        name = "gelu_tanh"
    return activation_named(name, origin)
