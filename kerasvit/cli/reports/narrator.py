"""What `kerasvit saliency` says while it draws."""

import pathlib
from collections.abc import Sequence

from kerasvit.cli.pictures import Progress, say_left_out, shown
from kerasvit.errors import KerasViTError
from kerasvit.images.inputs import LeftOut
from kerasvit.look import Drawn, Listener
from kerasvit.look.classes import describe
from kerasvit.memory import reuse_memory


class Narrator(Listener):
    """A line for each picture, a bar where there are several, and complaints."""

    def __init__(self) -> None:
        self.progress: Progress | None = None

    def __enter__(self) -> "Narrator":
        return self

    def __exit__(self, *error: object) -> None:
        if self.progress is not None:
            self.progress.__exit__(*error)

    def left_out(self, entries: Sequence[LeftOut]) -> None:
        """Say what lay in folders and is not read."""
        say_left_out(entries)

    def started(self, count: int) -> None:
        """Show the bar."""
        # Only now: while a model is loaded, what a conversion frees goes back to the system.
        reuse_memory()
        self.progress = Progress(count)

    def drew(self, picture: Drawn) -> None:
        """Say where the files are, and what the picture shows."""
        name = shown(picture.name or picture.path)
        if picture.flat:
            names = ", ".join(picture.flat)
            self._said.complain(f"{name}: every patch has the same value: {names}")
        files = [shown(file) for file in picture.files.values()]
        if picture.kind == "picture":
            classes = f"{describe(picture.classes)} -> " if picture.classes else ""
            self._said.line(f"{name}: {classes}{files[0]}")
        else:
            self._said.line(f"{name}: {', '.join(files)}")
            for note in picture.notes:
                self._said.complain(f"{name}: {note}")

    def passed_over(self, path: pathlib.Path, error: KerasViTError) -> None:
        """Name a picture that failed."""
        self._said.pass_over(path, error)

    def advanced(self) -> None:
        """Move the bar."""
        self._said.advance()

    def frame_done(self, done: int, count: int | None) -> None:
        """Say how far a video is."""
        self._said.part(done, count)

    @property
    def _said(self) -> Progress:
        if self.progress is None:
            self.progress = Progress(1)
        return self.progress
