"""What training scripts pickle beside the weights, read as stand-ins: no class of theirs is used.

A path, a date, a metric of NumPy's, a nested configuration: none of them is a weight, and to make
any of them its class would have to be imported and called. So each name that the tables know stands
for a class of this module instead, which keeps nothing, or a plain mapping, list or number. Names
that no table knows are refused as before.
"""

import collections
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

# Kept as nothing but its name.
_KEPT_BY_NAME = re.compile(
    r"pathlib(\._local)?\.\w+|\w+(\.\w+)*\.\w*Path|datetime\.\w+|zoneinfo\.\w+"
    r"|dateutil\.tz\.\w+|uuid\.\w+|decimal\.Decimal|fractions\.Fraction|types\.SimpleNamespace"
    r"|builtins\.(int|float|bool|str|bytes|list|tuple|dict|frozenset|object|slice|range)"
    r"|numpy\.(bool_?|u?int\d+|float\d+|complex\d+|str_|bytes_|datetime64|timedelta64)"
    r"|numpy\.dtypes\.\w+|numpy\.random\._pickle\.\w+|numpy\.random\._\w+\.\w+"
    r"|typing\.\w+|omegaconf(\.\w+)+|mmengine\.logging\.history_buffer\.\w+"
    r"|(pytorch_lightning|lightning|lightning_fabric)(\.\w+)+"
    r"|transformers\.(training_args|trainer_utils|trainer_pt_utils)\.\w+"
    r"|torch\.torch_version\.TorchVersion"
)
# Mappings of other classes, read as plain ones.
_MAPPINGS = re.compile(
    r"collections\.defaultdict|easydict\.EasyDict|yacs\.config\.CfgNode|fvcore\.common\.config\.\w+"
    r"|addict\.addict\.Dict|munch\.Munch|mmengine\.config\.config\.ConfigDict"
    r"|ml_collections\.config_dict\.config_dict\.\w+|timm\.utils\.model_ema\.\w+"
    r"|(pytorch_lightning|lightning|lightning_fabric)(\.\w+)*\.AttributeDict"
)
_SEQUENCES = re.compile(r"collections\.deque")
_NUMPY_SCALAR = re.compile(r"numpy\.(core|_core)\.multiarray\.scalar")
_NUMPY_ARRAY = re.compile(r"numpy\.(core|_core)\.multiarray\._reconstruct")

_NUMERIC = re.compile(r"[biufc]\d+")
# Names of Python 2, in which torch writes what is built in.
_OLD_NAMES = {"__builtin__.xrange": "builtins.range", "__builtin__.unicode": "builtins.str"}


class StandIn:
    """An object of any class, of which nothing is kept."""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        """Make one, whatever its class was made of."""
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        """Take any state, and keep nothing of it."""

    def __hash__(self) -> int:
        return id(self)


class _PlainMapping:
    """A mapping of any class, read as an OrderedDict, the one kind that may have attributes."""

    def __new__(cls, *arguments: Any) -> Any:
        return collections.OrderedDict()


class _PlainSequence:
    def __new__(cls, *arguments: Any) -> Any:
        return []


class _Type(StandIn):
    """NumPy's dtype: the code that it is written as, and its byte order."""

    def __init__(self, code: Any = "", *arguments: Any):
        self._code = code if isinstance(code, str) else ""
        self._order = "="

    def __setstate__(self, state: Any) -> None:
        """Take the byte order, the one part of the state that a number's type needs."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self._order = state[1]

    @property
    def numeric(self) -> np.dtype | None:
        """The type, if it is one of numbers."""
        return np.dtype(self._order + self._code) if _NUMERIC.fullmatch(self._code) else None


class StoredArray(StandIn):
    """An array of NumPy's; one of numbers has a shape, a dtype and values."""

    def __setstate__(self, state: Any) -> None:
        """Take NumPy's state: version, shape, dtype, whether in Fortran's order, bytes."""
        _, shape, dtype, is_fortran, data = state
        numeric = dtype.numeric if isinstance(dtype, _Type) else None
        if numeric is None or not isinstance(data, bytes):
            return
        if math.prod(shape) * numeric.itemsize != len(data):
            raise ValueError(f"an array of shape {shape} and type {numeric} in {len(data)} bytes")
        values = np.frombuffer(data, numeric)
        self._values = values.reshape(shape[::-1]).T if is_fortran else values.reshape(shape)
        self.shape, self.dtype = tuple(shape), numeric

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._values.astype(dtype or self.dtype)


def _scalar(dtype: Any, data: Any = None) -> Any:
    numeric = dtype.numeric if isinstance(dtype, _Type) else None
    if numeric is None or not isinstance(data, bytes) or len(data) != numeric.itemsize:
        return StandIn()
    return np.frombuffer(data, numeric)[0].item()


def _array(*arguments: Any) -> StoredArray:
    return StoredArray()


def stand_ins(names: Iterable[str]) -> list[tuple[Callable[..., Any], str]]:
    """Return what stands for each name that a table knows, as torch's list of allowed names.

    Args:
        names: dotted names that a pickle refers to.
    """
    known = {_current(name): _stand_in(_current(name)) for name in names}
    allowed = [(made, name) for name, made in known.items() if made is not None]
    # torch compares the class of what it fills; arrays are made by a function.
    return [*allowed, (StoredArray, "numpy.ndarray"), (_Type, "numpy.dtype")]


def is_harmless(name: str) -> bool:
    """Tell whether a name that a pickle refers to has a stand-in."""
    return name in ("numpy.ndarray", "numpy.dtype") or _stand_in(_current(name)) is not None


def _current(name: str) -> str:
    return _OLD_NAMES.get(name, re.sub(r"^__builtin__\.", "builtins.", name))


def _stand_in(name: str) -> Callable[..., Any] | None:
    if _NUMPY_SCALAR.fullmatch(name):
        return _scalar
    if _NUMPY_ARRAY.fullmatch(name):
        return _array
    if _MAPPINGS.fullmatch(name):
        return _PlainMapping
    if _SEQUENCES.fullmatch(name):
        return _PlainSequence
    if _KEPT_BY_NAME.fullmatch(name):
        return type(name.rpartition(".")[2], (StandIn,), {})
    return None
