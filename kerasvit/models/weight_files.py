"""Whether a file of weights is of the model that is to load it, which Keras does not ask."""

import collections
import os
import pathlib
import zipfile
from collections.abc import Iterable
from typing import Any

import keras

from kerasvit.errors import InputError
from kerasvit.untrusted.archives import check_archive, open_member
from kerasvit.untrusted.hdf5 import StoredArray, stored_arrays

_WEIGHTS = "model.weights.h5"
# What is saved beside the weights of the layers.
_BESIDE = ("optimizer/", "metrics/", "seed_generator")


def check_weights_file(model: keras.Model, path: str | os.PathLike) -> None:
    """Raise unless a `.keras` or `.weights.h5` file has exactly this model's weights, by shape.

    Keras loads twelve blocks into a model of ten without a word. Files of another kind, and those
    that can't be read, are left to Keras and its own errors.

    Args:
        model: a built model.
        path: the file.

    Raises:
        InputError: if the file has a weight more, fewer, or of another shape.
    """
    path = pathlib.Path(path)
    if path.suffix not in (".keras", ".h5") or not os.path.isfile(path):
        return
    # LoRA's factors are added to their kernel when it is saved.
    stored = [one for one in model.weights if not one.name.startswith("lora_")]
    wanted = collections.Counter(tuple(variable.shape) for variable in stored)
    arrays = _arrays(path)
    if arrays is not None:
        check_shapes(path, repr(model.name), shapes_of(arrays), wanted)


def check_shapes(
    path: pathlib.Path, model: str, held: collections.Counter, wanted: collections.Counter
) -> None:
    """Raise `InputError` unless a file holds each shape as often as a model has it.

    Args:
        path: the file.
        model: what a message calls the model.
        held: how often the file has each shape.
        wanted: how often the model has it.
    """
    if held == wanted:
        return
    extra, missing = held - wanted, wanted - held
    raise InputError(
        f"{str(path)!r} holds another model's weights than those of {model}: each shape "
        f"must be there as often. Received: {_listing(extra)} more, {_listing(missing)} fewer. "
        "Make the model that was saved, or pass skip_mismatch=True"
    )


def shapes_of(arrays: Iterable[StoredArray]) -> collections.Counter:
    """Return how often each shape is among the arrays of a file that are weights of layers."""
    return collections.Counter(
        array.shape
        for array in arrays
        if "vars" in array.name.split("/") and not any(part in array.name for part in _BESIDE)
    )


def _arrays(path: pathlib.Path) -> list[StoredArray] | None:
    """Return the arrays of a file; None of one that can't be read, of which Keras says why."""
    import h5py

    try:
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                return _checked(path, file, path.stat().st_size)
        member = check_archive(path)[_WEIGHTS]
        with open_member(path, member) as file, h5py.File(file, "r") as weights:
            return _checked(path, weights, member.file_size)
    except (OSError, KeyError, zipfile.BadZipFile):
        return None


def _checked(path: pathlib.Path, file: Any, size: int) -> list[StoredArray]:
    try:
        return stored_arrays(file, size)
    except ValueError as error:
        raise InputError(
            f"{str(path)!r} is no file of weights that Keras wrote. Received: {error}. Get the "
            "file again"
        ) from error


def _listing(shapes: collections.Counter) -> str:
    shown = ", ".join(map(str, sorted(shapes)[:3]))
    return f"{shapes.total()} ({shown})" if shapes else "none"
