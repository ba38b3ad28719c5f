"""The `.npz` file of a saliency map: its arrays, and a header in JSON."""

import contextlib
import itertools
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.fields import is_whole
from kerasvit.files import write_npz
from kerasvit.images.geometry import Geometry
from kerasvit.images.reading import MAX_PIXELS
from kerasvit.layout import TokenLayout
from kerasvit.untrusted.npz import read_arrays
from kerasvit.untrusted.texts import read_json

_FORMAT = "kerasvit saliency map, version 1"
_LONGEST_SIDE = 2**17

# What NumPy, zipfile, zlib and json raise on files that are something else or cut short.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_archive(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    header: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write arrays and the header, atomically.

    Raises:
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
    """
    # NumPy's numbers are no JSON.
    text = json.dumps({"format": _FORMAT, **header}, ensure_ascii=False, default=np.generic.item)
    write_npz(path, {**arrays, "header": np.array(text)}, overwrite)


def read_archive(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the fields that `write_archive` wrote; inside `damage_named`."""
    arrays: dict[str, Any] = read_arrays(path)
    header = read_json(str(arrays.pop("header")))
    if header.pop("format") != _FORMAT:
        raise ValueError("another format")
    fields = {**arrays, **_restored(header)}
    _check(fields)
    return fields


def _check(fields: dict[str, Any]) -> None:
    """Raise `ValueError` if what was read is of other types, or larger, than any map."""
    for name in ("values", "logits"):
        if fields.get(name) is not None and fields[name].dtype.kind != "f":
            raise ValueError(f"{name} of type {fields[name].dtype}, where numbers are real")
    layout, texts = fields["layout"], [fields["method"], fields["stage"], *fields["layers"]]
    if not all(isinstance(text, str) for text in (*texts, *layout.prefix)):
        raise ValueError("a name that is no text")
    sizes = [*layout.grid, *layout.patch_size]
    places = [(*place.original_size, *place.input_size) for place in fields["geometries"] or ()]
    if not all(map(_is_side, itertools.chain(sizes, *places))):
        raise ValueError(f"a size that is no number from 1 to {_LONGEST_SIDE}")
    if math.prod(sizes) > MAX_PIXELS or any(math.prod(place[:2]) > MAX_PIXELS for place in places):
        raise ValueError(f"a picture of more than {MAX_PIXELS} pixels")
    if not all(map(is_whole, fields["target"] or ())):
        raise ValueError("a target that is no number of a class")


def _is_side(value: Any) -> bool:
    return is_whole(value, 1) and value <= _LONGEST_SIDE


@contextlib.contextmanager
def damage_named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a file that is something else raises into an `InputError` of one line."""
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{os.fspath(path)!r} is not a saliency map that kerasvit saved. "
            f"Received: {reason}. Pass a file that SaliencyMap.save_npz wrote."
        ) from error


def _restored(header: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as `SaliencyMap` takes them: JSON knows lists only."""
    layout: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in header["layout"].items()
    }
    places = header["geometries"] and tuple(
        Geometry(**{name: tuple(value) for name, value in place.items()})
        for place in header["geometries"]
    )
    tuples = {
        name: tuple(header[name]) if isinstance(header[name], list) else header[name]
        for name in ("layers", "query", "target")
    }
    return {**header, **tuples, "layout": TokenLayout(**layout), "geometries": places}
