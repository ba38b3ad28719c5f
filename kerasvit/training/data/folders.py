"""Labelled pictures: a folder per class, on disk or in a zip."""

import dataclasses
import logging
import os
import pathlib
import threading
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.images.reading import read
from kerasvit.training.data.folder_tree import class_folders

_log = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class PictureFolder:
    """Pictures with labels, read one by one.

    Args:
        paths: one for each picture: a file's, or the name inside the archive.
        labels: int array `(len(paths),)`, positions in `class_names`; or `(len(paths), K)` of 0 and
            1, where a picture may have several of the classes, or none.
        class_names: what the labels stand for.
        archive: path of the zip that holds the pictures; None for files.

    Attributes:
        broken: the pictures that `try_read` could not read, as `(path, reason)`.

    Raises:
        InputError: if the labels do not fit the paths and the names.
    """

    paths: Sequence[str | os.PathLike]
    labels: np.ndarray
    class_names: tuple[str, ...]
    archive: pathlib.Path | None = None
    broken: list[tuple[str, str]] = dataclasses.field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.labels = np.asarray(self.labels, np.int32)
        self.class_names = tuple(self.class_names)
        self._opened = _Opened(self.archive)
        columns = (len(self.class_names),) if self.has_many_labels else ()
        fits = self.labels.shape == (len(self.paths), *columns)
        if not fits or (self.labels.size and not self._labels_in_range()):
            raise InputError(
                "There is one label for each picture, the number of its class. Received: "
                f"{len(self.paths)} pictures, labels of shape {self.labels.shape}, "
                f"{len(self.class_names)} classes. Pass one int in range for each picture."
            )

    @property
    def has_many_labels(self) -> bool:
        """Whether a picture may have several of the classes, or none."""
        return self.labels.ndim == 2

    def _labels_in_range(self) -> bool:
        highest = 1 if self.has_many_labels else len(self.class_names) - 1
        return self.labels.min() >= 0 and self.labels.max() <= highest

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def scan(
        cls,
        path: str | os.PathLike,
        split: str | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "PictureFolder":
        """Find the pictures of a folder, or of a zip, that has a folder for each class.

        A single folder around everything is passed over; hidden files and files that are no
        pictures by their suffix too. No picture is opened.

        Args:
            path: a folder or a `.zip` file: `CLASS/*.jpg`, or `SPLIT/CLASS/*.jpg`.
            split: which of the splits, such as "train" or "test"; None where there are none.
            class_names: the classes, in the order of their labels, where another data set has
                fixed them; classes may then be absent. None for all folders, sorted by name.

        Returns:
            The pictures sorted by class, then by name.

        Raises:
            InputError: if the path or the split does not exist, a class has no pictures, there are
                fewer than two classes, or a folder is none of `class_names`.
        """
        root = pathlib.Path(path)
        found, is_zip = class_folders(root, split, class_names)
        names = list(found)
        number = {name: label for label, name in enumerate(class_names or names)}
        files = [file for name in names for file in found[name]]
        labels = np.repeat([number[name] for name in names], [len(found[name]) for name in names])
        paths = files if is_zip else [root / file for file in files]
        return cls(paths, labels, tuple(number), root if is_zip else None)

    def read(self, index: int) -> np.ndarray:
        """Read one picture.

        Returns:
            uint8 array `(h, w, 3)`, as `kerasvit.images.read` makes it.

        Raises:
            InputError: if it cannot be read; the message names it.
        """
        path = self.paths[index]
        if self.archive is None:
            return read(path)
        try:
            return read(self._opened.content(str(path)))
        except (InputError, zipfile.BadZipFile, OSError, KeyError) as error:
            raise InputError(f"{str(path)!r} in {str(self.archive)!r}: {error}") from error

    def try_read(self, index: int) -> np.ndarray | None:
        """Read one picture, or note it in `broken`, once, and return None."""
        try:
            return self.read(index)
        except InputError as error:
            self._note(index, error)
            return None

    def first_good(self, indices: Iterable[int], note: bool = True) -> tuple[int, np.ndarray]:
        """Read the first of some pictures that can be read.

        Args:
            indices: of the pictures, at least one, in the order that they are tried.
            note: whether those before it are noted in `broken`.

        Returns:
            index: of the picture.
            picture: uint8 array `(h, w, 3)`.

        Raises:
            InputError: if none of them can be read.
        """
        tried = []
        for index in indices:
            try:
                return int(index), self.read(index)
            except InputError as error:
                tried.append(index)
                if note:
                    self._note(index, error)
        raise InputError(
            f"None of {len(tried)} pictures in a row can be read. "
            f"Received: {str(self.paths[tried[0]])!r} and those after it. Check the data."
        )

    def _note(self, index: int, error: InputError) -> None:
        path = str(self.paths[index])
        if all(path != known for known, _ in self.broken):
            self.broken.append((path, str(error)))
            _log.warning("A picture is skipped: %s", error)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process opens the archive for itself.
        return {**self.__dict__, "_opened": _Opened(self.archive)}


class _Opened:
    """An archive, opened when it is first read; threads may share it."""

    def __init__(self, path: pathlib.Path | None) -> None:
        self.path, self.lock = path, threading.Lock()
        self.file: zipfile.ZipFile | None = None

    def content(self, name: str) -> bytes:
        with self.lock:
            if self.file is None:
                if self.path is None:
                    raise KeyError(name)  # there is no archive that it could be in
                self.file = zipfile.ZipFile(self.path)
            return self.file.read(name)

    def __reduce__(self):
        return _Opened, (self.path,)
