"""Arrays in files that are larger than memory, filled part by part."""

import os

import numpy as np


def create_array(
    path: str | os.PathLike[str], dtype: np.typing.DTypeLike, shape: tuple[int, ...]
) -> np.memmap:
    """Make a `.npy` file to be filled, mapped into memory, with room for all of it on the disk.

    A mapped file has holes: where the disk is full, writing into one ends the process with SIGBUS
    and no word. So the room is asked for first, where the system can.

    Args:
        path: the file, such as `atomic_path` lends.
        dtype: of the array.
        shape: of the array.

    Raises:
        OSError: if there is no room.
    """
    array = np.lib.format.open_memmap(os.fspath(path), mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array


def write_array(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write a `.npy` file in a place that `atomic_path` lends.

    `numpy.save` leaves the last of what it writes to C, which says nothing where the disk is full.

    Args:
        path: the file.
        array: what it holds.

    Raises:
        OSError: if there is no room.
    """
    mapped = create_array(path, array.dtype, array.shape)
    mapped[...] = array
    mapped.flush()
