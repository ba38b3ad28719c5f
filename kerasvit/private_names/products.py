"""A dense layer's product as oneDNN makes it, which PyTorch has for compiled programs alone."""

import functools
from collections.abc import Callable
from typing import Any

from kerasvit.private_names.lookup import name_in, warn

# Of `torch.ops.mkldnn`: inputs, kernel and bias, and an activation of what they give.
_LINEAR = "_linear_pointwise"
# Whether something follows each operation: transforms of `torch.func`, modes, forward gradients.
_WATCHERS = (
    ("torch._C._functorch", "peek_interpreter_stack"),
    ("torch._C", "_len_torch_dispatch_stack"),
    ("torch._C", "_len_torch_function_stack"),
)
# Of `torch.autograd.forward_ad`: how many forward gradients are under way, counted from -1.
_LEVEL = "_current_level"
# Where oneDNN is the faster one, by measurement: with AVX2 it takes up to 1.3 times as long as MKL,
# with GELU 1.9 times.
_CAPABILITY = "AVX512"
# Activations by the names that configs use: oneDNN's, and how it approximates it. Its "relu" is not
# among them, which makes zeros of what is not a number.
_ACTIVATIONS = {
    None: ("none", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
}


def has_activation(name: str | None) -> bool:
    """Tell whether `linear` may be asked for an activation; None is none."""
    return name in _ACTIVATIONS


def multiplies_here(inputs: Any) -> bool:
    """Tell whether `linear` does for these inputs what PyTorch's own does, unseen.

    It has no gradient, and whatever transforms, counts or records operations does not know it.

    Args:
        inputs: a tensor.
    """
    import torch

    return (
        type(inputs) is torch.Tensor
        and inputs.device.type == "cpu"
        and inputs.dtype is torch.float32
        and not torch.is_grad_enabled()
        and not torch.jit.is_tracing()
        and bool(torch.backends.mkldnn.enabled)
        and _linear() is not None
        and not are_followed()
    )


def are_followed() -> bool:
    """Tell whether something of PyTorch transforms, differentiates or counts each operation."""
    import torch

    is_differentiated = getattr(torch.autograd.forward_ad, _LEVEL, -1) >= 0
    return is_differentiated or any(watches() for watches in _watchers())


def linear(inputs: Any, kernel: Any, bias: Any, activation: str | None = None) -> Any:
    """Multiply by the kernel, add the bias and apply the activation, in one pass over the result.

    Args:
        inputs: tensor `(..., D)` for which `multiplies_here` has said True.
        kernel: tensor `(D, units)`.
        bias: tensor `(units,)` or None.
        activation: one of which `has_activation` says True.
    """
    multiply = _linear()
    assert multiply is not None, "multiplies_here"
    name, algorithm = _ACTIVATIONS[activation]
    return multiply(inputs, kernel.t(), bias, name, [], algorithm)


@functools.cache
def _linear() -> Callable | None:
    """Return oneDNN's product; None on other processors, or where PyTorch was built without it."""
    import torch

    is_fast = torch.backends.cpu.get_cpu_capability() == _CAPABILITY
    if not is_fast or not torch.backends.mkldnn.is_available():
        return None
    known = hasattr(torch.ops.mkldnn, _LINEAR) and len(_watchers()) == len(_WATCHERS)
    if not known or not hasattr(torch.autograd.forward_ad, _LEVEL):
        warn("dense layers on PyTorch and a CPU are up to a fifth slower")
        return None
    return getattr(torch.ops.mkldnn, _LINEAR).default


@functools.cache
def _watchers() -> tuple[Callable[[], Any], ...]:
    asked = [name_in(module, name) for module, name in _WATCHERS]
    return tuple(watches for watches in asked if watches is not None)
