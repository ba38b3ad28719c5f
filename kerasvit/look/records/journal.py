"""What a run has done so far, a line for each picture, for the run that goes on after a kill."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterable
from typing import IO, Any

from kerasvit.files import atomic_path


class Journal:
    """A file to which lines are added; a disk that is full is found out by others.

    Args:
        path: of the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    @property
    def is_begun(self) -> bool:
        """Whether lines can be added."""
        return self._file is not None

    def begin(self, lines: Iterable[str]) -> None:
        """Replace the file of an earlier run, once the first lines are on disk."""
        with contextlib.suppress(OSError):
            with atomic_path(self.path, overwrite=True) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
            self._file = open(self.path, "a", encoding="ascii")  # noqa: SIM115

    def note(self, line: str) -> None:
        """Add a line."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.write(f"{line}\n")
                self._file.flush()

    def close(self) -> None:
        """Add no more."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what was not noted for want of room
                self._file.close()

    def remove(self) -> None:
        """Remove the file, if there is one."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def whole_lines(path: pathlib.Path, form: str) -> list[dict[str, Any]]:
    """Return what a journal holds; its last line may be half written.

    Args:
        path: of the file.
        form: what the first line says of its format.
    """
    lines = []
    for text in path.read_text(encoding="ascii", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if isinstance(line, dict) and ("file" in line or line.get("format") == form):
            lines.append(line)
    return lines
