"""Tensors as a checkpoint holds them: known by shape and type, read and checked one at a time."""

import dataclasses
import functools
import math
import mmap
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasvit.errors import InputError

FLOAT_TYPES = ("float16", "bfloat16", "float32", "float64")

_MAPPED = 2**20


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """One tensor of a checkpoint, not yet read.

    Args:
        shape: the tensor's shape, known without reading it.
        dtype: the type's name as NumPy writes it (`"float32"`, `"bfloat16"`, `"int64"`), or any
            other words for a type that weights can't have.
        read: returns the values in any floating type; bfloat16 as its bits in uint16, as
            float32, or as an array of the `ml_dtypes` type.
        read_row: returns those at one index of the first axis, where that needs less memory.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]
    read_row: Callable[[int], np.ndarray] | None = None

    def row(self, index: int) -> "StoredTensor":
        """Return the tensor at one index of the first axis."""
        if self.read_row is None:
            return StoredTensor(self.shape[1:], self.dtype, lambda: self.read()[index])
        return StoredTensor(self.shape[1:], self.dtype, functools.partial(self.read_row, index))

    def load(self, name: str) -> np.ndarray:
        """Return the values as a contiguous float32 array of `shape`, owned by the caller.

        float16 and bfloat16 are exact in float32; float64 is rounded to the nearest.

        Args:
            name: what an error calls the tensor.

        Raises:
            InputError: if the type is not one of `FLOAT_TYPES`, or a value is not finite.
        """
        if self.dtype not in FLOAT_TYPES:
            raise InputError(
                f"Tensor {name!r} can't be a weight: weights are {', '.join(FLOAT_TYPES)}, neither "
                f"integers nor quantised. Received: {self.dtype}. Convert the checkpoint that this "
                "one was quantised from, or leave the tensor out"
            )
        array = as_float32(self.read())
        if array.shape != self.shape:
            raise InputError(
                f"Tensor {name!r} does not hold what its header says: shape {self.shape}. "
                f"Received: {array.shape}. The file is damaged: get it again"
            )
        _check_finite(name, array)
        return array


def as_float32(array: np.ndarray) -> np.ndarray:
    """Return `array` as contiguous float32 in native byte order, without a copy if it is that.

    Args:
        array: floating values; bfloat16 (which NumPy lacks) as its 16 bits in uint16, or in
            the `ml_dtypes` type that Keras' backends use.

    A bfloat16 is the upper half of the float32 with the same value, so widening is exact.
    """
    if array.dtype == np.float32 and array.flags.c_contiguous and array.dtype.isnative:
        return array
    new = new_array(array.shape)
    if array.dtype == np.uint16 or array.dtype.name == "bfloat16":
        np.left_shift(array.view(np.uint16), 16, out=new.view(np.uint32), dtype=np.uint32)
        return new
    with np.errstate(over="ignore"):  # a float64 out of range becomes inf, refused by the caller
        np.copyto(new, array, casting="same_kind")
    return new


def new_array(shape: tuple[int, ...]) -> np.ndarray:
    """Return a float32 array of undefined values, a large one in a mapping of its own.

    Its memory goes back to the system when the array does. glibc keeps freed blocks of up to 32
    MiB, and a conversion that reads every weight of a model twice would seem to need them twice.
    """
    size = 4 * math.prod(shape)
    if size < _MAPPED:
        return np.empty(shape, np.float32)
    return np.frombuffer(mmap.mmap(-1, size), np.float32).reshape(shape)


def _check_finite(name: str, array: np.ndarray) -> None:
    num_bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if num_bad:
        raise InputError(
            f"Tensor {name!r} holds values that are not finite in float32; a model with them "
            f"computes NaN. Received: {num_bad} of {array.size} values NaN or infinite. Take "
            "a checkpoint from before the training diverged"
        )


def loaded_torch() -> types.ModuleType | None:
    """Return the `torch` module if something has imported it; a tensor can't exist otherwise."""
    return sys.modules.get("torch")


def is_torch_module(value: Any) -> bool:
    """Whether `value` is a `torch.nn.Module`, without importing torch."""
    torch = loaded_torch()
    return torch is not None and isinstance(value, torch.nn.Module)


def torch_dtype(tensor: Any) -> str:
    """Return the type of a `torch.Tensor` in NumPy's words, or words that `load` refuses."""
    import torch

    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided:
        return f"{name} in the layout {tensor.layout}"
    return f"{name} on the meta device, without values" if tensor.is_meta else name


def torch_to_numpy(tensor: Any) -> np.ndarray:
    """Return a contiguous float32 copy on the CPU of a floating `torch.Tensor` of any strides."""
    import torch

    new = new_array(tuple(tensor.shape))
    torch.from_numpy(new).copy_(tensor.detach())
    return new


def is_tensor(value: Any) -> bool:
    """Whether `value` is an array or tensor of NumPy, torch, JAX, TensorFlow or Keras."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def stored_tensor(value: Any) -> StoredTensor:
    """Describe an array or tensor held in memory; reading it copies it."""
    torch = loaded_torch()
    if torch is not None and isinstance(value, torch.Tensor):
        return StoredTensor(tuple(value.shape), torch_dtype(value), lambda: torch_to_numpy(value))
    dtype = getattr(value.dtype, "name", None) or str(value.dtype)
    return StoredTensor(tuple(value.shape), dtype, lambda: np.asarray(value).copy())
