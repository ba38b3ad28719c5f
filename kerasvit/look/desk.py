"""Where one picture or video after the other is drawn, whoever hands them out."""

import contextlib
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from kerasvit.errors import InputError
from kerasvit.images.notes import collecting
from kerasvit.look.artist import Artist
from kerasvit.look.explainer import Explained, Explainer, PreparedPicture
from kerasvit.look.planning.plan import Job
from kerasvit.look.results import Drawn, Listener
from kerasvit.look.settings import Settings
from kerasvit.look.video import draw_video


class Desk:
    """Draws the pictures and videos of a plan with one model.

    Args:
        model: as for `kerasvit.look.load_model`.
        settings: what is drawn and how.
        folder: of all outputs.
        overwrite: whether files may be replaced.
        listener: hears which frames of a video are done.

    Raises:
        UsageError: if the model has no such class.
    """

    def __init__(
        self,
        model: Any,
        settings: Settings,
        folder: pathlib.Path,
        overwrite: bool = False,
        listener: Listener | None = None,
    ) -> None:
        self.explainer = Explainer(model, settings)
        self.artist = Artist(self.explainer)
        self.folder, self.overwrite = folder, overwrite
        self.listener = listener or Listener()

    def open(self, job: Job) -> tuple[PreparedPicture | None, list[str]]:
        """Read a picture, which may be done in the background; a video is read as it is drawn.

        Returns:
            picture: None of a video.
            notes: what is worth saying of it.

        Raises:
            InputError: if it cannot be read.
        """
        if job.is_video:
            return None, []
        with collecting() as notes, _names_in_errors(job):
            return self.explainer.open(job.picture.path), notes

    def draw(
        self, job: Job, opened: tuple[PreparedPicture | None, list[str]] | None = None
    ) -> tuple[Drawn, dict[str, Any]]:
        """Draw a picture or a video, and write its files.

        Args:
            job: which one, and where to.
            opened: what `open` returned; None to do it now.

        Returns:
            drawn: what was written.
            entry: what a manifest says of it, beside its name.

        Raises:
            InputError: if it cannot be read or explained.
            OutputError: if a file cannot be written.
        """
        picture, notes = opened or self.open(job)
        with _names_in_errors(job):
            if picture is None:
                return self._draw_video(job)
            return self._draw_picture(job, picture, notes)

    def _draw_picture(
        self, job: Job, picture: PreparedPicture, notes: list[str]
    ) -> tuple[Drawn, dict[str, Any]]:
        started = time.perf_counter()
        files = job.outputs.files
        explained = self.explainer.explain(picture)
        title = self.explainer.settings.title
        heading = _heading(job) if title is None else title
        self.artist.write(explained, files, heading, self.overwrite)
        seconds = round(time.perf_counter() - started, 3)
        entry = {**_facts(explained, self._names(job)), "seconds": seconds}
        entry |= {"notes": notes} if notes else {}
        drawn = Drawn(
            job.picture.path,
            "picture",
            dict(files),
            seconds,
            tuple(explained.classes),
            tuple(explained.flat),
            job.picture.name,
            tuple(notes),
        )
        return drawn, entry

    def _draw_video(self, job: Job) -> tuple[Drawn, dict[str, Any]]:
        started = time.perf_counter()
        path, notes = job.picture.path, []
        for method in self.explainer.settings.video_methods:
            files = [
                file for name, file in job.outputs.files.items() if name.startswith(f"{method}.")
            ]
            report = self.listener.frame_done
            notes = draw_video(path, self.explainer, method, files, self.overwrite, report)
        seconds = round(time.perf_counter() - started, 3)
        entry = {"outputs": self._names(job), "seconds": seconds}
        entry |= {"notes": notes} if notes else {}
        drawn = Drawn(
            path,
            "video",
            dict(job.outputs.files),
            seconds,
            name=job.picture.name,
            notes=tuple(notes),
        )
        return drawn, entry

    def _names(self, job: Job) -> list[str]:
        """Return the files of a job as the manifest names them, relative to its folder."""
        return [file.relative_to(self.folder).as_posix() for file in job.outputs.files.values()]


@contextlib.contextmanager
def _names_in_errors(job: Job) -> Iterator[None]:
    """Let errors name what the user named, not the temporary file of an address."""
    try:
        yield
    except InputError as error:
        path, name = repr(str(job.picture.path)), repr(job.picture.name)
        if path == name or path not in str(error):
            raise
        raise InputError(str(error).replace(path, name)) from error


def _facts(explained: Explained, names: list[str]) -> dict[str, Any]:
    """Return what the manifest says of a picture."""
    picture = explained.picture
    facts: dict[str, Any] = {
        "size": list(picture.image.shape[:2]),
        "input_size": list(picture.prepared.image.shape[:2]),
        "outputs": names,
        "methods": list(explained.maps),
    }
    if explained.classes:
        number, name, probability = explained.classes[0]
        facts |= {"class": name, "class_index": number, "probability": round(probability, 6)}
        if explained.has_many_labels:
            facts["labels"] = {name: round(share, 6) for _, name, share in explained.classes}
    targets = {
        method: result.target[0] for method, result in explained.maps.items() if result.target
    }
    facts |= {"explained": targets} if targets else {}
    return facts | ({"flat": explained.flat} if explained.flat else {})


def _heading(job: Job) -> str:
    """Return a picture's name as a font can write it."""
    stem = job.picture.path.stem
    return stem if stem.isprintable() else repr(stem)[1:-1]
