"""Reading NumPy `.npz` archives one array at a time, never unpickling an object."""

import functools
import math
import pathlib
import zipfile

import numpy as np

from kerasvit.conversion.tensors import StoredTensor, Tree
from kerasvit.errors import InputError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: pathlib.Path) -> Tree:
    """Return the arrays of an `.npz` file by name, each read from the file when it is loaded.

    Raises:
        InputError: if an array's header asks for more bytes than the archive holds of it.
        Exception: whatever `zipfile` or NumPy raises for a damaged file.
    """
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename.removesuffix(".npy"): _describe(path, archive, info)
            for info in archive.infolist()
        }


def _describe(path: pathlib.Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> StoredTensor:
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        shape, fortran_order, dtype = _HEADERS[version](member)
        held = info.file_size - member.tell()
    # Checked here because NumPy allocates what the header says before it reads.
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize != held:
        raise InputError(
            f"{str(path)!r} is damaged: array {info.filename!r} of shape {shape} and type {dtype} "
            f"does not fit its bytes. Received: {held} bytes. Get the file again"
        )
    name = info.filename.removesuffix(".npy")
    read = functools.partial(_read, path, name)
    if fortran_order or dtype.hasobject or not shape:
        return StoredTensor(shape, _type_name(dtype), read)
    row = functools.partial(_read_row, path, info.filename, shape[1:], dtype, info.file_size - held)
    return StoredTensor(shape, _type_name(dtype), read, row)


def _type_name(dtype: np.dtype) -> str:
    # NumPy has no bfloat16: it writes one of JAX's as two bytes of unknown meaning.
    return "bfloat16" if dtype.str == "|V2" else dtype.name


def _values(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint16) if array.dtype.str == "|V2" else array


def _read(path: pathlib.Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return _values(arrays[name])


def _read_row(
    path: pathlib.Path,
    member: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    start: int,
    index: int,
) -> np.ndarray:
    """Read one index of the first axis: its bytes lie side by side."""
    size = math.prod(shape) * dtype.itemsize
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        file.seek(start + index * size)
        return _values(np.frombuffer(file.read(size), dtype).reshape(shape))
