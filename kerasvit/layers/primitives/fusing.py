"""Letting XLA fuse a few operations inside a TensorFlow graph, which runs them one by one."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator

import keras

_is_compiled = contextvars.ContextVar("is_compiled", default=False)
# Whether the operations being traced are inside a function that XLA compiles.
_is_in_xla = contextvars.ContextVar("is_in_xla", default=False)
# Whether graphs are to hold plain operations, none that XLA must compile.
_plain = contextvars.ContextVar("plain", default=False)


def fused_in_graphs(function: Callable, is_kept: bool = False) -> Callable:
    """Have XLA compile a function of tensors where it becomes part of a TensorFlow graph.

    Attention over 197 tokens takes 27.6 ms as operations of a graph and 12.7 ms compiled (batch 8,
    6 heads, 2 threads). Run eagerly, TensorFlow calls the function as it is: XLA compiles anew for
    every shape, which a folder of pictures of all sizes would pay for each time. The other backends
    call it as it is.

    Args:
        function: takes tensors or None by position and returns tensors; what it calls is
            `keras.ops`. It stays reachable as the attribute `__wrapped__` of the result.
        is_kept: whether all that it computes on the way is kept for the gradient, which computes
            the function once more otherwise. Of talking heads those are six tensors of the scores'
            size for each block: a training step of CaiT-XXS24 at 224 pixels, batch 16, takes 5.0 GB
            so, and 3.2 without, in less time.
    """

    @functools.wraps(function)
    def call(*tensors):
        compiles = _is_in_graph() and not _is_compiled.get()
        if not compiles:
            return function(*tensors)
        is_given = tuple(tensor is not None for tensor in tensors)
        given = [tensor for tensor in tensors if tensor is not None]
        return (_kept if is_kept else _recomputed)(function, is_given)(*given)

    return call


@contextlib.contextmanager
def inside_compiled_step(is_compiled: bool) -> Iterator[None]:
    """Say that XLA compiles all of a training step, so that parts need no compilation of their own.

    They must not have one: TensorFlow then takes each input of the part, and so every weight, for a
    constant of the program, as the gradient needs constants (such as the axes of a transposition)
    that the part hands out. With the weights' values changed, it compiles everything anew in each
    step: 7 of 7 seconds for a ViT of one layer, 42.0 of 42.3 for a CaiT of two.

    Args:
        is_compiled: whether it does.
    """
    token = _is_compiled.set(is_compiled)
    try:
        yield
    finally:
        _is_compiled.reset(token)


def fuses_operations() -> bool:
    """Tell whether XLA sees the operations of a function that `fused_in_graphs` has wrapped."""
    return keras.backend.backend() == "jax" or _is_in_graph()


@contextlib.contextmanager
def plain_graphs() -> Iterator[None]:
    """Keep functions that XLA compiles out of the graphs that are traced inside.

    Not everything that runs a graph has XLA: LiteRT's converter takes such a function apart, and
    gets CaiT's scores wrong by 0.1 without a word.
    """
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def _is_in_graph():
    if keras.backend.backend() != "tensorflow" or _plain.get():
        return False
    import tensorflow as tf

    return tf.inside_function()


def is_traced_for_xla() -> bool:
    """Tell whether TensorFlow traces a part that `fused_in_graphs` has XLA compile."""
    return _is_in_xla.get()


@functools.cache
def _kept(function, is_given):
    import tensorflow as tf

    return tf.function(_traced(function, is_given), jit_compile=True, autograph=False)


def _traced(function, is_given):
    """Return the function of the tensors that are given, the others being None."""

    def traced(*given):
        left = iter(given)
        token = _is_in_xla.set(True)
        try:
            return function(*[next(left) if is_here else None for is_here in is_given])
        finally:
            _is_in_xla.reset(token)

    return traced


@functools.cache
def _recomputed(function, is_given):
    import tensorflow as tf

    forward = _kept(function, is_given)

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def backward(given, upstream):
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = _traced(function, is_given)(*given)
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(outputs, given, upstream, unconnected_gradients=zero)

    @tf.custom_gradient
    def recomputed(*given):
        outputs = forward(*given)
        is_one = not isinstance(outputs, (tuple, list))
        return outputs, lambda *upstream: backward(given, upstream[0] if is_one else upstream)

    # A variable among its arguments would be asked for as one of its own.
    return lambda *given: recomputed(*map(tf.convert_to_tensor, given))
