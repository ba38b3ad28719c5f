"""What every layer of this package shares: a config made of its constructor's own arguments."""

import contextlib
import contextvars
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import keras

from kerasvit.errors import UsageError
from kerasvit.layers.direct_calls import DirectCalls

PACKAGE = "kerasvit"


def constructor_arguments(cls: type) -> tuple[str, ...]:
    """Return the names that a constructor takes, those that it hands on to its bases included.

    A constructor with `**kwargs` hands on what it does not name; the walk ends at one without, and
    at Keras' own classes. Names that start with an underscore are no arguments of a config.

    Args:
        cls: class whose constructor is asked for.

    Returns:
        The names, those of the bases first.
    """
    names: list[str] = []
    for owner in cls.__mro__:
        if owner.__module__.partition(".")[0] == "keras":
            break
        if "__init__" not in vars(owner):
            continue
        parameters = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        named = [one.name for one in parameters if one.kind not in _VARIADIC]
        names = [name for name in named if not name.startswith("_")] + names
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
            break
    return tuple(dict.fromkeys(names))


def kept_arguments(owner: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the arguments that an object keeps as attributes of the same name."""
    return {name: getattr(owner, name) for name in names if hasattr(owner, name)}


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class ConfiguredLayer(DirectCalls, keras.layers.Layer):
    """A layer whose config holds exactly the arguments that its constructor takes.

    Subclasses keep each argument as an attribute of the same name, so that
    `from_config(get_config())` cannot drift away from the constructor. What one keeps elsewhere it
    adds in a `get_config` of its own, as in Keras.

    Attributes:
        arguments: the names of the constructor's arguments, read off its signature.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.arguments = constructor_arguments(cls)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialisable as JSON."""
        return {**super().get_config(), **kept_arguments(self, self.arguments)}


class ScoringLayer(ConfiguredLayer):
    """A layer that returns tokens and attention scores."""

    num_heads: int

    @property
    def num_score_heads(self) -> int:
        """Length of the head axis of the scores."""
        return self.num_heads

    def compute_output_spec(self, *args, **arguments):
        """Return what a call returns, as symbols.

        JAX traces the numbers of a call's arguments with its tensors, so that a `grid` would be no
        numbers any more where a user puts the layer into a Functional model: with one, no trace.
        """
        call = inspect.signature(self.call).bind(*args, **arguments)
        given = {**call.arguments, **call.kwargs}
        if given.get("grid") is None:
            return super().compute_output_spec(*args, **arguments)
        tokens, score_rows = given["tokens"], given.get("score_rows")
        outputs = keras.KerasTensor(tokens.shape, self.compute_dtype)
        shape = self._scores_shape(tokens.shape, score_rows)
        scores = keras.KerasTensor(shape, self.compute_dtype)
        return outputs, None if score_rows == 0 else scores

    def _scores_shape(self, tokens_shape, score_rows: int | None):
        """Return the shape of the scores of tokens `(B, N, D)`."""
        batch, length, _ = tokens_shape
        rows = length if score_rows is None else score_rows
        return batch, self.num_score_heads, rows, length


def sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers that are attributes of a layer, by themselves or in a list or dict.

    They come in the order in which they became attributes, each once.
    """
    attributes = list(vars(layer).values())
    if keras.backend.backend() == "torch":
        # PyTorch keeps the modules of a module elsewhere.
        attributes += layer.children()
    found: dict[int, keras.layers.Layer] = {}
    for attribute in attributes:
        values = attribute.values() if isinstance(attribute, dict) else attribute
        for value in values if isinstance(attribute, list | tuple | dict) else (attribute,):
            if isinstance(value, keras.layers.Layer):
                found.setdefault(id(value), value)
    return list(found.values())


def nested_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Iterate over a layer, the layers inside it, and those inside them, each once.

    The order is Keras' own: the seeds of low-rank adaptation are counted in it.
    """
    yield layer
    stack, seen = sublayers(layer)[::-1], {id(layer)}
    while stack:
        current = stack.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            stack += sublayers(current)


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
    return or_zeros(keras.initializers.TruncatedNormal(stddev=stddev))


def or_zeros(initializer: Any) -> Any:
    """Return an initializer as it is, or one of zeros inside `without_random_start`."""
    return keras.initializers.Zeros() if _starts_from_zeros.get() else initializer


def uniform_initializer(num_inputs: int) -> keras.initializers.Initializer:
    """Uniform within one over the root of the inputs that an output has, as PyTorch's layers start.

    Args:
        num_inputs: how many values one output is a weighted sum of.
    """
    if _starts_from_zeros.get():
        return keras.initializers.Zeros()
    limit = num_inputs**-0.5
    return keras.initializers.RandomUniform(-limit, limit)


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
