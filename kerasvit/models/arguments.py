"""Arguments of a model, each written once in the body of its class: name, type and default."""

import inspect
import math
import numbers
import operator
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import keras
import numpy as np

from kerasvit.errors import UsageError
from kerasvit.layers.base import constructor_arguments, require

Given = TypeVar("Given")
Kept = TypeVar("Kept")


class Converted(Generic[Given, Kept]):
    """An argument that is taken in several forms and kept in one of them.

    Args:
        default: in any form.
        convert: turns a form that is taken into the one that is kept.
    """

    def __init__(self, default: Given, convert: Callable[[Given], Kept]):
        self.default = default
        self.convert = convert

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: type | None = None) -> Kept:
        if model is None:
            return self  # type: ignore[return-value]
        if self.name not in vars(model):
            # Keras on TensorFlow looks what an attribute was before it is set.
            raise AttributeError(f"{type(model).__name__!r} object has no attribute {self.name!r}")
        return vars(model)[self.name]

    def __set__(self, model: Any, value: Given) -> None:
        vars(model)[self.name] = self.convert(value)


class DeclaredArguments:
    """Gives a class the constructor that the annotated names in its body stand for.

    As in a dataclass: `num_heads: int = 4` in the body is an argument `num_heads` of the
    constructor, with this type and default, in this order; it is handed to `_start` with the
    others. What the constructor does not know goes to Keras (`name`, `dtype`, `trainable`). A class
    that writes a constructor of its own keeps it.

    Attributes:
        arguments: names of the constructor's arguments, those of the bases included.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        parent = inspect.getattr_static(cls, "__init__")
        declared = list(_declared(cls))
        if declared and "__init__" not in vars(cls) and getattr(parent, "takes_declared", False):
            cls.__init__ = _constructor(parent, declared)
        cls.arguments = tuple(dict.fromkeys((*cls.arguments, *constructor_arguments(cls))))

    def __init__(self, **kwargs):
        self._start({}, kwargs)

    def _start(self, arguments: dict[str, Any], kwargs: dict[str, Any]) -> None:
        raise NotImplementedError

    __init__.takes_declared = True  # type: ignore[attr-defined]


def _declared(cls: type) -> Iterator[inspect.Parameter]:
    for name, annotation in inspect.get_annotations(cls).items():
        is_argument = name in vars(cls) and not name.startswith("_")
        if is_argument and get_origin(annotation) is not ClassVar:
            default = vars(cls)[name]
            if isinstance(default, Converted):
                default, annotation = default.default, get_args(annotation)[0]
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            yield inspect.Parameter(name, kind, default=default, annotation=annotation)


def _constructor(parent: Callable, declared: list[inspect.Parameter]) -> Callable:
    """Return a constructor that takes the parent's arguments and these."""
    first, *inherited, rest = inspect.signature(parent).parameters.values()
    named = {parameter.name: parameter for parameter in (*inherited, *declared)}
    signature = inspect.Signature([first, *named.values(), rest])

    def __init__(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        del arguments[first.name]
        further = arguments.pop(rest.name)
        check_types(arguments, named)
        self._start(arguments, further)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    __init__.__doc__ = "Make the model; the class says what the arguments are."
    __init__.takes_declared = True  # type: ignore[attr-defined]
    return __init__


def check_types(arguments: dict[str, Any], declared: Mapping[str, inspect.Parameter]) -> None:
    """Bring numbers to Python's own types in place, and refuse values of another type.

    Args:
        arguments: values by name.
        declared: with the annotations; what is neither number, flag nor text is left as it is.

    Raises:
        UsageError: if a value is of another type, or no finite number.
    """
    for name, value in arguments.items():
        annotation = declared[name].annotation
        accepted = (
            get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
        )
        if value is None and type(None) in accepted:
            continue
        for kind, (described, convert) in _CONVERSIONS.items():
            if kind in accepted and set(accepted) <= {kind, type(None)}:
                try:
                    arguments[name] = convert(value)
                except (TypeError, ValueError):
                    require(False, f"{name} must be {described}. Received: {name}={value!r}")


def integer(value: Any) -> int:
    """Return an integer as Python's own; raise `TypeError` for anything else, flags too."""
    if isinstance(value, bool | np.bool_):
        raise TypeError
    return operator.index(value)


def _number(value: Any) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def check_policy(dtype: Any) -> None:
    """Raise `UsageError` if Keras has no dtype policy of this name."""
    try:
        keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(
            'dtype must be a Keras dtype policy, such as "float32" or "mixed_bfloat16". '
            f"Received: dtype={dtype!r}"
        ) from error


_CONVERSIONS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    int: ("an integer", integer),
    float: ("a finite number", _number),
    bool: ("True or False", _flag),
    str: ("text", _text),
}
