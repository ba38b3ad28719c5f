"""Whether a file of weights is of the model that is to load it, which Keras does not ask."""

import collections
import os
import pathlib
import zipfile

import keras

from kerasvit.errors import InputError

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
    if path.suffix not in (".keras", ".h5") or not path.is_file():
        return
    held = _shapes(path)
    # LoRA's factors are added to their kernel when it is saved.
    stored = [one for one in model.weights if not one.name.startswith("lora_")]
    wanted = collections.Counter(tuple(variable.shape) for variable in stored)
    if held is None or held == wanted:
        return
    extra, missing = held - wanted, wanted - held
    raise InputError(
        f"{str(path)!r} holds another model's weights than those of {model.name!r}: each shape "
        f"must be there as often. Received: {_listing(extra)} more, {_listing(missing)} fewer. "
        "Make the model that was saved, or pass skip_mismatch=True"
    )


def _shapes(path: pathlib.Path) -> collections.Counter | None:
    import h5py

    try:
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                return _count(file)
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(_WEIGHTS) as member,
            h5py.File(member, "r") as file,
        ):
            return _count(file)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _count(file) -> collections.Counter:
    import h5py

    shapes: collections.Counter = collections.Counter()

    def visit(name, item):
        is_weight = isinstance(item, h5py.Dataset) and "vars" in name.split("/")
        if is_weight and not any(part in name for part in _BESIDE):
            shapes[tuple(item.shape)] += 1

    file.visititems(visit)
    return shapes


def _listing(shapes: collections.Counter) -> str:
    shown = ", ".join(map(str, sorted(shapes)[:3]))
    return f"{shapes.total()} ({shown})" if shapes else "none"
