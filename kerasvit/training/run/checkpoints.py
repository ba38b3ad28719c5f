"""The whole state of a run in one file, so that a run that was killed goes on as if it had not."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasvit.errors import InputError
from kerasvit.files import atomic_path
from kerasvit.training.run.generators import set_generator_states
from kerasvit.untrusted.npz import read_arrays
from kerasvit.untrusted.texts import read_json

_META = "meta"
_GENERATOR = "generator."


def save_state(
    path: str | os.PathLike,
    model: keras.Model,
    meta: Mapping[str, Any],
    generators: Mapping[str, np.ndarray],
) -> None:
    """Write weights, optimiser, averages, random states and metrics, atomically.

    Args:
        path: the `.npz` file; an existing one is replaced once the new one is whole.
        model: compiled, with a built optimiser. The weights of a `teacher` are left out.
        meta: what else is to be known, as JSON: such as the step.
        generators: what `generator_states` returned after the last step.

    Raises:
        OutputError: if it cannot be written; the old file is then untouched.
    """
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()
    arrays: dict[str, Any] = {f"{_GENERATOR}{name}": state for name, state in generators.items()}
    paths = {}
    for group, variables in _groups(model).items():
        paths[group] = [variable.path for variable in variables]
        for number, variable in enumerate(variables):
            arrays[f"{group}.{number}"] = _array(variable)
    text = json.dumps({"paths": paths, **meta})
    arrays[_META] = np.frombuffer(text.encode(), np.uint8)
    with atomic_path(path, overwrite=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_meta(path: str | os.PathLike) -> dict[str, Any]:
    """Return what `save_state` was given besides the model.

    Raises:
        InputError: if the file is missing, damaged or something else.
    """
    return _load(path)[0]


def restore_state(path: str | os.PathLike, model: keras.Model) -> None:
    """Give a model of the same recipe, and the process' generators, the state that was saved.

    The metrics stay as they are: see `restore_metrics`.

    Raises:
        InputError: if the file is missing or damaged, or the state of another model.
    """
    arrays = _restore(path, model, ("model", "optimizer"))
    names = [name for name in arrays if name.startswith(_GENERATOR)]
    set_generator_states({name.removeprefix(_GENERATOR): arrays[name] for name in names})


def restore_metrics(path: str | os.PathLike, model: keras.Model) -> None:
    """Give a model, once it has them, the metrics in the middle of an epoch.

    Raises:
        InputError: as `restore_state`.
    """
    _restore(path, model, ("metrics",))


def _restore(
    path: str | os.PathLike, model: keras.Model, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Assign groups of variables, and return all arrays of the file."""
    meta, arrays = _load(path)
    groups = _groups(model)
    for name in names:
        shapes = [variable.shape for variable in groups[name]]
        saved = [arrays.get(f"{name}.{number}") for number in range(len(meta["paths"][name]))]
        if [tuple(shape) for shape in shapes] != [getattr(array, "shape", None) for array in saved]:
            raise InputError(
                f"{str(path)!r} is the state of another run: its {name} has {len(saved)} weights "
                f"of other shapes. Received: a model with {len(shapes)}. Use the recipe that it "
                "was written by."
            )
        for variable, value in zip(groups[name], saved, strict=True):
            variable.assign(value)
    return arrays


def _groups(model: keras.Model) -> dict[str, list]:
    # A frozen teacher does not change, and may be much larger.
    teacher = getattr(model, "teacher", None)
    skipped = {id(variable) for variable in teacher.variables} if teacher is not None else set()
    return {
        "model": [variable for variable in model.variables if id(variable) not in skipped],
        "optimizer": list(model.optimizer.variables),
        "metrics": list(model.metrics_variables),
    }


def _array(variable: keras.Variable) -> np.ndarray:
    value = np.asarray(keras.ops.convert_to_numpy(variable))
    # NumPy's files have no bfloat16; float32 holds each of its values.
    return (
        value.astype(np.float32)
        if value.dtype.kind == "V" or "bfloat" in str(value.dtype)
        else value
    )


def _load(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    path = pathlib.Path(path)
    try:
        arrays = read_arrays(path)
        meta = read_json(arrays.pop(_META).tobytes())
        return meta, arrays
    except FileNotFoundError as error:
        raise InputError(
            f"There is no state to go on from. Received: {str(path)!r}, which does not exist. "
            "Leave out --resume to start."
        ) from error
    except Exception as error:
        raise InputError(
            f"{str(path)!r} is damaged or no state of a run: {type(error).__name__}: {error}. "
            "Remove it and start again."
        ) from error
