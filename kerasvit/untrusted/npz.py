"""NumPy's archives of strangers: each array as long as its header says, none an object."""

import dataclasses
import math
import os
import tokenize
import zipfile
from typing import IO

import numpy as np

from kerasvit.untrusted.archives import check_archive

# Maps of still pictures and states full of zeros are packed to nearly nothing.
NPZ_UNPACKED = 256 * 2**20
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclasses.dataclass(frozen=True)
class Header:
    """What a member of an `.npz` says of its array.

    Args:
        shape: of the array.
        is_fortran: whether its first axis runs fastest.
        dtype: of the array.
        start: where its values begin in the member.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype
    start: int


def read_header(member: IO[bytes], size: int) -> Header:
    """Read the header of an array, which NumPy would allocate memory for as it says.

    Args:
        member: open at its beginning.
        size: bytes that it has.

    Raises:
        ValueError: if it is no array, or not as long as it says. One of objects passes: NumPy's
            own reader refuses to unpickle it.
    """
    version = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise ValueError(f"an array of version {version}")
    try:
        shape, is_fortran, dtype = _HEADERS[version](member)
    except (tokenize.TokenError, RecursionError, MemoryError) as error:
        # The header is a literal of Python, and parsed as one.
        raise ValueError("an array whose header is no literal") from error
    start = member.tell()
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize != size - start:
        raise ValueError(f"shape {shape} and type {dtype} in {size - start} bytes")
    return Header(shape, is_fortran, dtype, start)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return all arrays of an `.npz` file by name.

    Raises:
        InputError: if it asks for more memory than its size explains, or is no such archive.
        ValueError: if an array is none, or one of objects.
        OSError: if it can't be read.
        zipfile.BadZipFile: if it is damaged.
    """
    arrays = {}
    members = check_archive(path, NPZ_UNPACKED)
    with zipfile.ZipFile(path) as archive:
        for name, info in members.items():
            with archive.open(name) as member:
                read_header(member, info.file_size)
            with archive.open(name) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
                # The checksum is compared at the end of a member.
                member.read(1)
            arrays[name.removesuffix(".npy")] = array
    return arrays
