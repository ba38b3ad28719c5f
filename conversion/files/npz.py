"""Reading NumPy `.npz` archives one array at a time, never unpickling an object."""

import functools
import pathlib
import zipfile

import numpy as np

from kerasvit.conversion.files.tensors import StoredTensor, new_array
from kerasvit.conversion.files.trees import Tree
from kerasvit.errors import InputError
from kerasvit.untrusted.npz import read_header

_CHUNK = 2**20


def read_npz(path: pathlib.Path) -> Tree:
    """Return the arrays of an `.npz` file by name, each read from the file when it is loaded.

    Raises:
        InputError: if an array's header asks for more bytes than the archive holds of it.
        Exception: whatever `zipfile` or NumPy raises for a damaged file, or one of objects.
    """
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename.removesuffix(".npy"): _describe(path, archive, info)
            for info in archive.infolist()
        }


def _describe(path: pathlib.Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> StoredTensor:
    try:
        with archive.open(info) as member:
            header = read_header(member, info.file_size)
    except ValueError as error:
        raise InputError(
            f"{str(path)!r} is damaged: array {info.filename!r} does not fit its "
            f"bytes. Received: {error}. Get the file again"
        ) from error
    shape, dtype, start = header.shape, header.dtype, header.start
    # NumPy has no bfloat16: it writes one of JAX's as two bytes of unknown meaning.
    type_name = "bfloat16" if dtype.str == "|V2" else dtype.name
    if header.is_fortran or dtype.hasobject:
        name = info.filename.removesuffix(".npy")
        return StoredTensor(shape, type_name, functools.partial(_load, path, name))
    read = functools.partial(_read, path, info.filename, dtype, start)
    if not shape:
        return StoredTensor(shape, type_name, functools.partial(read, shape))
    row = functools.partial(read, shape[1:])
    return StoredTensor(shape, type_name, functools.partial(read, shape), row)


def _load(path: pathlib.Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[name]


def _read(
    path: pathlib.Path,
    member: str,
    dtype: np.dtype,
    start: int,
    shape: tuple[int, ...],
    index: int = 0,
) -> np.ndarray:
    """Read an array, or one index of the first axis of a larger one: its bytes lie side by side."""
    dtype = np.dtype(np.uint16) if dtype.str == "|V2" else dtype
    array = new_array(shape) if dtype == np.float32 else np.empty(shape, dtype)
    left = memoryview(array.reshape(-1).view(np.uint8).data)
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        file.seek(start + index * array.nbytes)
        while left and (chunk := file.read(min(_CHUNK, len(left)))):
            left[: len(chunk)] = chunk
            left = left[len(chunk) :]
    if left:
        raise EOFError(f"the array {member!r} ended early")
    return array
