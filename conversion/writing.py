"""Writing a converted model so that what is on the disk is what was in memory, or nothing."""

import hashlib
import pathlib
from typing import Any

import keras
import numpy as np

from kerasvit.conversion.names.rules import variables_by_path
from kerasvit.errors import InputError, UsageError
from kerasvit.files import atomic_path, check_outputs
from kerasvit.memory import free_memory
from kerasvit.models.base import ScoreModel


def check_output(output: pathlib.Path, source: Any, overwrite: bool) -> None:
    """Raise now, and not after minutes of work, if the output can't be written.

    Raises:
        OutputError: if it exists and `overwrite` is False, is the source, or its folder is missing
            or read-only.
        UsageError: if it does not end in `.keras`.
    """
    if output.suffix != ".keras":
        raise UsageError(
            f"The output must end in .keras. Received: {str(output)!r}. Name it "
            f"{str(output.with_suffix('.keras'))!r}"
        )
    check_outputs([output], overwrite=overwrite, inputs=[source])


def write(models: list[ScoreModel], output: pathlib.Path, overwrite: bool) -> ScoreModel:
    """Save a model, load it again and compare, before the new file takes the old one's place.

    Args:
        models: the model alone. It is taken out of the list before it is loaded again, so that
            memory holds it once; the caller must keep no other reference.
        output: the `.keras` file.
        overwrite: whether an existing file is replaced.

    Returns:
        The model as it was loaded.

    Raises:
        InputError: if a weight came back changed.
        OutputError: if the file can't be written.
    """
    from kerasvit.pretrained import load

    with atomic_path(output, overwrite) as temporary:
        # Not `model.save`, which is atomic by itself and would name the temporary file in errors.
        keras.Model.save(models[0], temporary)
        digests = _digests(models.pop())
        free_memory()
        model = load(temporary)
        for path, digest in _digests(model).items():
            if digests.pop(path, None) != digest:
                raise _changed(path, output)
        for path in digests:
            raise _changed(path, output)
    return model


def _digests(model: keras.Model) -> dict[str, str]:
    """Return the hash of each weight, its type and its shape, by path."""
    digests = {}
    for path, variable in variables_by_path(model).items():
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8))
        digests[path] = digest.hexdigest()
    return digests


def _changed(path: str, output: pathlib.Path) -> InputError:
    return InputError(
        f"{path} came back changed from the file that was written; it must be the same. "
        f"Received: another value in {str(output)!r}. Check the disk, try again"
    )
