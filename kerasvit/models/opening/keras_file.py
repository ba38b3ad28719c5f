"""A `.keras` file of a stranger: our model, rebuilt from a config that was checked.

Keras' own reader makes whatever a config names, as large as it says, and takes whatever arrays are
there. Here a file is looked at first: it is an archive of three members, its config is one of our
classes with plain values, and its arrays are as many and as large as the model that the config
describes, which is built without memory to see that. Only then Keras reads the file, and every
weight is looked at once more.
"""

import collections
import pathlib
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kerasvit.errors import InputError, KerasViTError
from kerasvit.layers.base import without_random_start
from kerasvit.models.base import ScoreModel
from kerasvit.models.opening.records import check_record
from kerasvit.models.opening.without_values import without_values
from kerasvit.models.weight_files import check_shapes, shapes_of
from kerasvit.untrusted.archives import check_archive, open_member, read_member
from kerasvit.untrusted.hdf5 import StoredArray, stored_arrays
from kerasvit.untrusted.texts import JSON_BYTES, read_json

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MEMBERS = {CONFIG, METADATA, WEIGHTS}
_KEYS = {
    *("module", "class_name", "config", "registered_name", "build_config", "compile_config"),
    "shared_object_id",
}
# Numbers of an architecture that are followed by a loop; each turn of it makes arrays.
_COUNTS = ("num_layers", "num_class_layers", "head_blocks")
_SIDES = ("image_shape", "patch_size")
_LONGEST_SIDE = 2**16
_MODULES_OF_POLICIES = ("keras", "keras.dtype_policies")
_POLICY = re.compile(r"\w*DTypePolicy(Map)?", re.ASCII)


def read_keras_file(path: pathlib.Path) -> ScoreModel:
    """Return the model of a `.keras` file that this package wrote, without optimiser and loss.

    Args:
        path: the file.

    Raises:
        InputError: if it holds another kind of model, something that no such file holds, arrays
            that the config does not describe, or a weight that is no finite number.
        Exception: whatever Keras and HDF5 raise for a damaged file.
    """
    members = check_archive(path)
    if unknown := sorted(set(members) ^ _MEMBERS):
        raise ValueError(f"the members {', '.join(map(repr, unknown[:3]))}, of {sorted(_MEMBERS)}")
    with zipfile.ZipFile(path) as archive:
        config = read_json(read_member(archive, CONFIG, JSON_BYTES))
    make = _maker(config, path)
    with open_member(path, members[WEIGHTS]) as file:
        arrays = _arrays(file, members[WEIGHTS].file_size)
    _check_numbers(config["config"], arrays)
    expected = without_values(lambda: _shapes(make()))
    check_shapes(path, config["class_name"], shapes_of(arrays), expected)
    with without_random_start():
        model = keras.saving.load_model(path, compile=False)
    _check_finite(path, model)
    return model


def _maker(config: Any, path: pathlib.Path) -> Callable[[], ScoreModel]:
    """Return how the model is made that a config describes."""
    if not isinstance(config, Mapping) or not set(config) <= _KEYS:
        raise ValueError("a config that is none of a model's")
    registered = config.get("registered_name")
    kind = keras.saving.get_registered_object(registered) if isinstance(registered, str) else None
    if not (isinstance(kind, type) and issubclass(kind, ScoreModel)):
        raise InputError(
            f"{str(path)!r} holds another kind of model; it must be one of kerasvit, such as a "
            f"VisionTransformer. Received: {str(config.get('class_name'))[:100]!r}. Convert the "
            "weights with: kerasvit convert"
        )
    arguments = config.get("config")
    if not isinstance(arguments, Mapping):
        raise ValueError("a config without arguments")
    _check_policy(arguments.get("dtype"))
    check_record(arguments.get("record"), repr(str(path)))
    return lambda: kind.from_config(dict(arguments))


def _check_policy(given: Any) -> None:
    """Raise `ValueError` unless a dtype policy, as its config stands in a file, is one of Keras'.

    It is the one part of a config of ours that Keras makes an object of.
    """
    if given is None or isinstance(given, str):
        return
    inner = given.get("config") if isinstance(given, Mapping) else None
    if not (
        isinstance(inner, Mapping)
        and given.get("module") in _MODULES_OF_POLICIES
        and _POLICY.fullmatch(str(given.get("class_name")))
        and given.get("registered_name") is None
    ):
        raise ValueError(f"a dtype that is no policy of Keras: {str(given)[:100]}")
    for value in inner.values():
        for policy in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(policy, Mapping):
                _check_policy(policy)
            elif not (policy is None or isinstance(policy, str | int | float)):
                raise ValueError("a dtype policy of a policy")


def _arrays(file: Any, size: int) -> list[StoredArray]:
    import h5py

    with h5py.File(file, "r") as weights:
        return stored_arrays(weights, size)


def _check_numbers(arguments: Mapping[str, Any], arrays: list[StoredArray]) -> None:
    """Raise `ValueError` if a config asks for more than the file's arrays can be.

    What a model's size follows from are its whole numbers: none is above the number of values, and
    none that is counted above the number of arrays.
    """
    values = sum(int(np.prod(array.shape, dtype=object)) for array in arrays)
    for name, value in arguments.items():
        limit = len(arrays) if name in _COUNTS else _LONGEST_SIDE if name in _SIDES else values
        for number in value if isinstance(value, list) else (value,):
            if isinstance(number, int) and number > max(limit, 1):
                raise ValueError(f"{name}={number} in a file of {len(arrays)} arrays")


def _shapes(model: ScoreModel) -> collections.Counter:
    return collections.Counter(tuple(weight.shape) for weight in model.weights)


def _check_finite(path: pathlib.Path, model: ScoreModel) -> None:
    for weight in model.weights:
        values = np.asarray(keras.ops.convert_to_numpy(weight))
        if values.dtype.kind != "f" and "float" not in values.dtype.name:
            continue
        if not np.isfinite(values).all():
            raise InputError(
                f"{str(path)!r} holds values that are no finite numbers; a model with them "
                f"computes NaN. Received: NaN or infinity in {weight.path!r}. Take a file from "
                "before the training diverged"
            )


def explain(path: pathlib.Path, error: Exception, is_keras: bool) -> InputError:
    """Return the error of a file that can't be loaded, in one line."""
    if isinstance(error, InputError):
        return error
    if not is_keras:
        return InputError(
            f"{str(path)!r} is no Keras model; it must be a .keras file. Received: another kind of "
            "file, or a damaged one. Convert a checkpoint with: kerasvit convert"
        )
    kind = "" if isinstance(error, KerasViTError) else f"{type(error).__name__}: "
    return InputError(
        f"{str(path)!r} cannot be loaded; it must be a whole .keras file of this kerasvit. "
        f"Received: {kind}{' '.join(str(error).split())[:200]}. Write it again with: kerasvit "
        "convert"
    )
