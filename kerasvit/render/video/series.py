"""Arrays that come one by one, such as the maps of a video, written to one `.npz` file."""

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from kerasvit.errors import InputError
from kerasvit.files import atomic_path


@contextlib.contextmanager
def create_series(
    path: str | os.PathLike[str], constants: Mapping[str, np.ndarray], overwrite: bool = False
) -> Iterator[Callable[..., None]]:
    """Write an `.npz` file whose arrays grow along their first axis; memory does not grow.

    Args:
        path: the file to write, there only when the block has ended without an error.
        constants: arrays that are written as they are.
        overwrite: whether an existing file may be replaced.

    Yields:
        A function that takes the next element of each growing array by name, always the same
        names, shapes and types.

    Raises:
        InputError: if the names, shapes or types change.
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
    """
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path, overwrite))
        columns: dict[str, _Column] = {}
        expected: list[set[str]] = []

        def append(**elements: np.ndarray) -> None:
            expected.append(set(elements)) if not expected else None
            if set(elements) != expected[0]:
                raise InputError(
                    f"A series has the arrays {', '.join(sorted(expected[0]))}. "
                    f"Received: {', '.join(sorted(elements))}."
                )
            for name, element in elements.items():
                if name not in columns:
                    columns[name] = stack.enter_context(_Column(name))
                columns[name].append(np.asarray(element))

        yield append
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in constants.items():
                with archive.open(_entry(name), "w") as file:
                    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
            for column in columns.values():
                column.save(archive)


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an array's place in the archive, without the time: equal arrays give equal bytes."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


class _Column(contextlib.AbstractContextManager):
    """One growing array, in a temporary file."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `__exit__`
        self.kind: tuple[tuple[int, ...], np.dtype] | None = None

    def __exit__(self, *error) -> None:
        self.file.close()

    def append(self, element: np.ndarray) -> None:
        kind = element.shape, element.dtype
        if self.kind is None:
            self.kind = kind
        if kind != self.kind:
            raise InputError(
                f"The elements of a series are alike. Received: {kind} after {self.kind} "
                f"in {self.name!r}."
            )
        self.file.write(np.ascontiguousarray(element).tobytes())
        self.count += 1

    def save(self, archive: zipfile.ZipFile) -> None:
        assert self.kind is not None
        shape, dtype = self.kind
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (self.count, *shape),
        }
        self.file.seek(0)
        with archive.open(_entry(self.name), "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            shutil.copyfileobj(self.file, file, 1 << 20)
