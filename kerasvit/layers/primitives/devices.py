"""Which device a program is made for, where a formulation is for one kind alone."""

import contextlib
import contextvars
from collections.abc import Iterator

import keras

_platform: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def is_jax_on_cpu() -> bool:
    """Tell whether JAX is the backend, and a CPU its first device or what it compiles for."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return (_platform.get() or jax.default_backend()) == "cpu"


def is_tensorflow_on_cpu() -> bool:
    """Tell whether TensorFlow has nothing but a CPU."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return len(tf.config.list_logical_devices()) == len(tf.config.list_logical_devices("CPU"))


@contextlib.contextmanager
def compiling_for(platform: str) -> Iterator[None]:
    """Say what JAX traces for inside, if it is not the device at hand.

    Args:
        platform: as JAX calls it: "cpu", "tpu" or "cuda".
    """
    token = _platform.set(platform)
    try:
        yield
    finally:
        _platform.reset(token)
