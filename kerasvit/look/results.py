"""What a run drew, and who hears how it goes on."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from kerasvit.errors import KerasViTError
from kerasvit.images.inputs import LeftOut
from kerasvit.look.classes import Prediction


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What was written for a picture or a video.

    Args:
        path: the picture.
        kind: `"picture"` or `"video"`.
        files: what was written: of a picture by what it holds, `"sheet"`, `"overlay"` (of several
            methods `"METHOD.overlay"`), `"arrays"`, `"viewer"`, `"layers"`; sheets and overlays
            that are no PNG as `"sheet.pdf"`, `"overlay.svg"`; of a video by `"METHOD.FORMAT"`.
        seconds: how long it took.
        classes: its most probable classes; none of a video or from a model without a head.
        flat: the methods whose map has the same value everywhere.
        name: what the user called it: its path, an address, or `"-"`.
        notes: what is worth saying of it, such as a video's frames that could not be read.
    """

    path: pathlib.Path
    kind: str
    files: dict[str, pathlib.Path]
    seconds: float
    classes: tuple[Prediction, ...] = ()
    flat: tuple[str, ...] = ()
    name: str = ""
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Run(Sequence[Drawn]):
    """What a call drew: a sequence with one entry for each picture, in their order.

    Args:
        folder: where the files lie.
        manifest: the record of the run.
        drawn: the pictures and videos that went well.
        failed: the error of each that did not; empty unless `fail_fast=False`.
        left_out: what lay in folders and was not read, with the reason.
    """

    folder: pathlib.Path
    manifest: pathlib.Path
    drawn: tuple[Drawn, ...]
    failed: dict[pathlib.Path, KerasViTError]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def files(self) -> list[pathlib.Path]:
        """All files but the manifest."""
        return [file for picture in self.drawn for file in picture.files.values()]

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, index: Any) -> Any:
        return self.drawn[index]

    def __iter__(self) -> Iterator[Drawn]:
        return iter(self.drawn)


class Listener:
    """Hears how a run goes on; this one does nothing. Override what you want to hear."""

    def left_out(self, entries: Sequence[LeftOut]) -> None:
        """Folders hold these files and folders too, which are not read."""

    def started(self, count: int) -> None:
        """The model is loaded, and so many pictures will be drawn."""

    def drew(self, picture: Drawn) -> None:
        """A picture has been written."""

    def passed_over(self, path: pathlib.Path, error: KerasViTError) -> None:
        """A picture has failed, and the others go on."""

    def advanced(self) -> None:
        """A picture is done, for good or ill."""

    def frame_done(self, done: int, count: int | None) -> None:
        """So many frames of the present video are done, of how many if that is known."""
