"""The `.npz` file of a saliency map: its arrays, and a header in JSON."""

import contextlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.files import write_npz
from kerasvit.images.geometry import Geometry
from kerasvit.layout import TokenLayout
from kerasvit.untrusted.npz import read_arrays
from kerasvit.untrusted.texts import read_json

_FORMAT = "kerasvit saliency map, version 1"

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
    return {**arrays, **_restored(header)}


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
