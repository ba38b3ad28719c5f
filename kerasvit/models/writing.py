"""Keras' own saving, but that nothing of it stays among the temporary files."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import keras

from kerasvit.private_names import folders_for_assets
from kerasvit.temporary import new_scratch_folder


def write_keras(model: keras.Model, path: str | os.PathLike[str], **kwargs: Any) -> None:
    """Write a model as `keras.Model.save` does, over what is at the path.

    For a model's assets, which ours have none of, Keras makes a folder for temporary files; that of
    a save that failed or was killed is removed at once, or by the next save.

    Args:
        model: the model.
        path: ends in `.keras`.
        **kwargs: further arguments of `keras.Model.save`.

    Raises:
        OSError: if it cannot be written; HDF5 raises RuntimeError too.
    """
    with _without_assets():
        keras.Model.save(model, path, overwrite=True, **kwargs)


@contextlib.contextmanager
def _without_assets() -> Iterator[None]:
    made: list[pathlib.Path] = []

    def make() -> str:
        made.append(new_scratch_folder())
        return str(made[-1])

    try:
        with folders_for_assets(make):
            yield
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
