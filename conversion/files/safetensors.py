"""Safetensors files, one tensor in memory at a time, bfloat16 included, without torch."""

import functools
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.files.tensors import StoredTensor, new_array
from kerasvit.conversion.files.trees import Tree
from kerasvit.errors import InputError
from kerasvit.untrusted.limits import check_entries
from kerasvit.untrusted.texts import read_json

# The format's type codes (https://github.com/huggingface/safetensors, "Format"): the name, and
# the NumPy type of the bytes where weights may have the type. bfloat16 is read as its bits.
_FLOATS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}
_NAMES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def read_safetensors(path: pathlib.Path) -> Tree:
    """Return the tensors of a safetensors file, each read from the file when it is loaded.

    The `safetensors` library checks the header first: its length, and that the tensors' bytes
    lie side by side and fill the file. The bytes are then read here, with plain file reads: a
    mapped file would stay in the process' memory, and NumPy has no bfloat16.

    Raises:
        InputError: if a name appears twice (the format forbids it, the library lets it pass), or
            there are more tensors than in any model.
        Exception: whatever `safetensors` raises for a file that breaks the format.
    """
    import safetensors

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length)
    check_entries(repr(str(path)), text.count(b'"data_offsets"'))
    try:
        header = read_json(text, len(text))
    except ValueError as error:
        raise InputError(
            f"{str(path)!r} is damaged: its safetensors header must be JSON in which names differ. "
            f"Received: {error}. Get the file again, or save it again"
        ) from error
    with safetensors.safe_open(path, framework="numpy"):
        pass
    header.pop("__metadata__", None)
    return {name: _describe(path, 8 + length, entry) for name, entry in header.items()}


def _describe(path: pathlib.Path, start: int, entry: dict[str, Any]) -> StoredTensor:
    code, shape = entry["dtype"], tuple(entry["shape"])
    offset = start + entry["data_offsets"][0]
    read = functools.partial(_read, path, offset, shape, _FLOATS.get(code))
    return StoredTensor(shape, _NAMES.get(code, code), read)


def _read(path: pathlib.Path, offset: int, shape: tuple[int, ...], dtype: str | None) -> np.ndarray:
    values = new_array(shape) if np.dtype(dtype) == np.float32 else np.empty(shape, dtype)
    with path.open("rb") as file:
        file.seek(offset)
        held = file.readinto(values.reshape(-1).view(np.uint8).data)
    if held < values.nbytes:
        raise InputError(
            f"{str(path)!r} ended before the tensor did; the file was cut while it was read. "
            f"Received: {held} of {values.nbytes} bytes. Get the file again"
        )
    return values


def write_safetensors(
    path: pathlib.Path, tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors as float32 to a safetensors file, one in memory at a time.

    Args:
        path: the file to write, existing or not.
        tensors: by name, in the order of the file.
        metadata: texts that the header keeps.

    Raises:
        InputError: if a value is not finite.
        OSError: if the file can't be written.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + 4 * math.prod(tensor.shape)
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in tensors.items():
            file.write(tensor.load(name).astype("<f4", copy=False))
