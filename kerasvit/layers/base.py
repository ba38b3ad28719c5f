"""What every layer of this package shares: a config made of its constructor's own arguments."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, ClassVar

import keras

from kerasvit.errors import UsageError
from kerasvit.layers.primitives.direct_calls import DirectCalls

PACKAGE = "kerasvit"


class ConfiguredLayer(DirectCalls, keras.layers.Layer):
    """A layer whose config holds exactly the arguments that its constructor takes.

    Subclasses name them once, in `arguments`, and keep each as an attribute of the same name, so
    that `from_config(get_config())` cannot drift away from the constructor.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialisable as JSON."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.arguments}}


_starts_from_zeros = contextvars.ContextVar("starts_from_zeros", default=False)


@contextlib.contextmanager
def without_random_start() -> Iterator[None]:
    """Start the weights of layers made inside from zeros: for models that are loaded right after.

    Drawing random values takes most of the time that a model takes to make, seconds on JAX.
    """
    token = _starts_from_zeros.set(True)
    try:
        yield
    finally:
        _starts_from_zeros.reset(token)


def kernel_initializer() -> keras.initializers.Initializer:
    """Truncated normal of standard deviation 0.02, as in the ViT, DeiT, CaiT and DINO code."""
    return weight_initializer(0.02)


def weight_initializer(stddev: float) -> keras.initializers.Initializer:
    """Truncated normal of this standard deviation, or zeros inside `without_random_start`."""
    if _starts_from_zeros.get():
        return keras.initializers.Zeros()
    return keras.initializers.TruncatedNormal(stddev=stddev)


def require(condition: bool, message: str) -> None:
    """Raise `UsageError(message)`, which is a `ValueError`, unless the condition holds."""
    if not condition:
        raise UsageError(message)


def require_at_least(minimum: int, **arguments: int) -> None:
    """Raise `UsageError` unless each of the named arguments is an integer of at least `minimum`."""
    for name, value in arguments.items():
        require(
            isinstance(value, int) and value >= minimum,
            f"{name} must be an integer of at least {minimum}. Received: {name}={value!r}",
        )


def require_rate(name: str, value: float) -> float:
    """Return the rate, or raise `UsageError` unless it lies in [0, 1)."""
    require(0.0 <= value < 1.0, f"{name} must lie in [0, 1). Received: {name}={value}")
    return value


def head_dim(hidden_dim: int, num_heads: int) -> int:
    """Return the width of one head, or raise `UsageError` if the heads do not divide the width."""
    require(
        num_heads > 0 and hidden_dim % num_heads == 0,
        "num_heads must divide the token width. "
        f"Received: num_heads={num_heads}, hidden_dim={hidden_dim}",
    )
    return hidden_dim // num_heads
