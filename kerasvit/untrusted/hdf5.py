"""HDF5 files of weights: which arrays they hold, told without reading one."""

import dataclasses
import math
from typing import Any

from kerasvit.untrusted.limits import ENTRIES

# Keras' files nest a folder for each layer inside another.
_DEPTH = 40
_REAL = "fiub"


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array of an HDF5 file.

    Args:
        name: its path in the file.
        shape: of the array.
        dtype: of the array, as NumPy has it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any


def stored_arrays(file: Any, size: int) -> list[StoredArray]:
    """Return the arrays of an open HDF5 file, in no particular order, without reading one.

    Args:
        file: an `h5py.File`.
        size: bytes that the file has.

    Raises:
        ValueError: if something is in it that no file of weights has: links out of the file or
            elsewhere in it, arrays of no real numbers, arrays whose values are not all in the
            file, more nodes or a deeper nesting than any model.
        OSError: if it is damaged.
    """
    arrays, left, nodes = [], [(file, 0)], 0
    while left:
        group, depth = left.pop()
        nodes += len(group)
        if nodes > ENTRIES or depth > _DEPTH:
            raise ValueError(f"more than {ENTRIES} nodes, or a depth over {_DEPTH}")
        for name in group:
            item = _item(group, name)
            if hasattr(item, "keys"):
                left.append((item, depth + 1))
            else:
                arrays.append(_described(item))
    if (asked := sum(_num_bytes(array) for array in arrays)) > size:
        raise ValueError(f"arrays of {asked} bytes in a file of {size}")
    return arrays


def _item(group: Any, name: str) -> Any:
    import h5py

    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"a link, {name[:100]!r}, which may lead elsewhere")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise ValueError(f"{name[:100]!r}, which is no array")
    return item


def _described(item: Any) -> StoredArray:
    name, dtype = str(item.name), item.dtype
    # Keras has a type of its own for these, and h5py writes it as bytes of no known meaning.
    is_bfloat = item.attrs.get("dtype") == "bfloat16" and dtype.itemsize == 2
    if item.shape is None or not (dtype.kind in _REAL or is_bfloat):
        raise ValueError(f"{name[-100:]!r} of type {dtype}, where weights are real numbers")
    array = StoredArray(name, tuple(item.shape), dtype)
    if item.is_virtual or item.external:
        raise ValueError(f"{name[-100:]!r}, whose values are in another file")
    if item.id.get_storage_size() < _num_bytes(array):
        raise ValueError(f"{name[-100:]!r}, whose values are not all in the file")
    return array


def _num_bytes(array: StoredArray) -> int:
    return math.prod(array.shape) * array.dtype.itemsize
