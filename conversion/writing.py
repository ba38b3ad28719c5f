"""Writing a converted model so that what is on the disk is what was in memory, or nothing."""

import contextlib
import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kerasvit.conversion.names.rules import variables_by_path
from kerasvit.errors import InputError, UsageError
from kerasvit.files import atomic_path, check_outputs
from kerasvit.memory import free_memory
from kerasvit.models.base import ScoreModel
from kerasvit.models.writing import write_keras


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


class NewFile:
    """A model's file that takes the old one's place once it was read back unchanged.

    Args:
        temporary: the file that is written.
        output: what it will be called.
    """

    def __init__(self, temporary: pathlib.Path, output: pathlib.Path):
        self._temporary = temporary
        self._output = output
        self._digests: dict[str, str] = {}

    def save(self, model: ScoreModel) -> None:
        """Save a model, and remember what its weights were.

        Raises:
            OutputError: if the file can't be written.
        """
        # Not `model.save`, which is atomic by itself and would name the temporary file in errors.
        write_keras(model, self._temporary)
        self._digests = _digests(model)

    def reload(self) -> ScoreModel:
        """Load the model that was saved; who lets go of the first one before has memory for one.

        Raises:
            InputError: if a weight came back changed.
        """
        from kerasvit.pretrained import load

        free_memory()
        model = load(self._temporary)
        digests = dict(self._digests)
        for path, digest in _digests(model).items():
            if digests.pop(path, None) != digest:
                raise _changed(path, self._output)
        for path in digests:
            raise _changed(path, self._output)
        return model


@contextlib.contextmanager
def new_file(output: pathlib.Path, overwrite: bool) -> Iterator[NewFile]:
    """Write a file so that the old one is replaced only if all in the block went well.

    Args:
        output: the `.keras` file.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: if the file can't be written.
    """
    with atomic_path(output, overwrite) as temporary:
        yield NewFile(temporary, output)


def _digests(model: keras.Model) -> dict[str, str]:
    """Return the hash of each weight, its type and its shape, by path."""
    digests = {}
    for path, variable in variables_by_path(model).items():
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
        digests[path] = digest.hexdigest()
    return digests


def _changed(path: str, output: pathlib.Path) -> InputError:
    return InputError(
        f"{path} came back changed from the file that was written; it must be the same. "
        f"Received: another value in {str(output)!r}. Check the disk, try again"
    )
