"""Which files a run writes, chosen and checked before any work."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterable, Sequence

from kerasvit.errors import UsageError
from kerasvit.files import check_outputs, make_folder
from kerasvit.images.inputs import PictureFile
from kerasvit.look.planning.places import output_places
from kerasvit.look.settings import Settings
from kerasvit.render.figures import FIGURE_FORMATS

# What Linux, macOS and Windows allow for one name, in bytes.
_LONGEST_NAME = 255


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The files of one picture or video.

    Args:
        kind: `"picture"` or `"video"`.
        files: of a picture, by what they hold: `"sheet"`, `"overlay"` or `"METHOD.overlay"`, each
            with `".pdf"` or `".svg"` where it is no PNG, `"arrays"`, `"viewer"`, `"layers"`; of a
            video by method and suffix.
        folder: where they lie.
    """

    kind: str
    files: dict[str, pathlib.Path]
    folder: pathlib.Path


def plan_outputs(
    pictures: Sequence[PictureFile],
    videos: set[pathlib.Path],
    settings: Settings,
    folder: pathlib.Path,
) -> dict[pathlib.Path, Outputs]:
    """Choose the files of every picture, see `kerasvit.look.planning.places`.

    Args:
        pictures: the pictures and videos.
        videos: the paths of those that are videos.
        settings: what is written.
        folder: where to.

    Raises:
        UsageError: if a picture or a video cannot be written in the formats asked for.
    """
    outputs: dict[pathlib.Path, Outputs] = {}
    taken: set[str] = set()
    for picture, (*folders, stem) in zip(pictures, output_places(pictures), strict=True):
        plan = _video_files if picture.path in videos else _picture_files
        for number in itertools.count(1):
            planned = plan(stem, settings, folder.joinpath(*folders), number)
            names = {str(file).casefold() for file in planned.files.values()}
            if not names & taken:
                break
        taken |= names
        outputs[picture.path] = planned
    return outputs


def check_planned(
    outputs: Iterable[Outputs],
    inputs: Iterable[pathlib.Path],
    folder: pathlib.Path,
    overwrite: bool,
) -> None:
    """See that all files can be written; their folders are made.

    Args:
        outputs: the files of each picture.
        inputs: the pictures, none of which may be written over.
        folder: of all outputs.
        overwrite: whether files may be replaced.

    Raises:
        OutputError: if a file exists and `overwrite` is False, or is one of the pictures, or a
            folder cannot be made or written to.
    """
    files = [file for planned in outputs for file in planned.files.values()]
    check_outputs(files, overwrite=overwrite, inputs=inputs, make_folders=True)
    make_folder(folder)


def check_apart(pictures: Iterable[PictureFile], folder: pathlib.Path) -> None:
    """See that no shard would take for a picture what another one draws at the same time.

    Args:
        pictures: those of a run.
        folder: of its outputs.

    Raises:
        UsageError: if one that a folder or pattern holds lies in it.
    """
    place = pathlib.Path(os.path.realpath(folder))
    for picture in pictures:
        if picture.is_listed and place in pathlib.Path(os.path.realpath(picture.path)).parents:
            raise UsageError(
                "Shards need a folder for their outputs that holds no picture to draw: each would "
                f"draw what the others wrote. Received: {str(folder)!r}, in which "
                f"{picture.name!r} lies. Choose another one (-o)"
            )


def _picture_files(stem: str, settings: Settings, folder: pathlib.Path, number: int) -> Outputs:
    formats = settings.formats_of("picture")
    suffixes = {}
    overlays = [overlay_name(method, settings.has_one_overlay) for method in settings.methods]
    for kind in (kind for kind in FIGURE_FORMATS if kind in formats):
        suffixes[output_name("sheet", kind)] = f".{kind}"
        suffixes |= {output_name(name, kind): f".{name}.{kind}" for name in overlays}
    if "npz" in formats:
        suffixes["arrays"] = ".npz"
    if "html" in formats:
        suffixes["viewer"] = ".html"
    if "gif" in formats:
        suffixes["layers"] = ".layers.gif"
    ending = "" if number == 1 else f"_{number}"
    longest = max(len(suffix) for suffix in suffixes.values())
    stem = _shortened(stem, _LONGEST_NAME - longest - len(ending)) + ending
    files = {name: folder / f"{stem}{suffix}" for name, suffix in suffixes.items()}
    return Outputs("picture", files, folder)


def overlay_name(method: str, single: bool) -> str:
    """Return what the overlay of a method is called among the outputs."""
    return "overlay" if single else f"{method}.overlay"


def output_name(what: str, kind: str) -> str:
    """Return what a sheet or an overlay of a format is called: PNGs bear no format's name."""
    return what if kind == "png" else f"{what}.{kind}"


def _video_files(stem: str, settings: Settings, folder: pathlib.Path, number: int) -> Outputs:
    # A video's files are named after it alone, so another one of that name gets a folder.
    place = folder if number == 1 else folder / f"{stem}_{number}"
    files = {
        f"{method}.{suffix}": place / f"{stem}.{method}.{suffix}"
        for method in settings.video_methods
        for suffix in settings.formats_of("video")
    }
    return Outputs("video", files, place)


def _shortened(stem: str, length: int) -> str:
    """Cut a name to so many bytes, between two letters."""
    raw = os.fsencode(stem)
    if len(raw) <= length:
        return stem
    return raw[:length].decode("utf-8", "ignore")
