"""From what a user named to the pictures that a run draws: found, placed, divided, not yet done."""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from kerasvit.errors import InputError
from kerasvit.images.inputs import Found, LeftOut, PictureFile, find
from kerasvit.look.pictures import texts_of
from kerasvit.look.planning.outputs import Outputs, check_apart, check_planned, plan_outputs
from kerasvit.look.planning.places import Shard
from kerasvit.look.records.manifest import NAME, Begun, Manifest, outputs_of
from kerasvit.look.settings import Settings
from kerasvit.look.uses import check_uses
from kerasvit.look.uses import outputs_of as kinds_of_outputs
from kerasvit.render.video.frames import SUFFIXES, is_video

Inputs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture or video, and the files that are made of it.

    Args:
        picture: the file.
        outputs: where to, and which of both it is.
    """

    picture: PictureFile
    outputs: Outputs

    @property
    def is_video(self) -> bool:
        """Whether it is drawn frame by frame."""
        return self.outputs.kind == "video"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run draws.

    Args:
        jobs: the pictures that are to be drawn.
        folder: of the outputs.
        overwrite: whether files may be replaced.
        facts: what its manifest says beside model and settings.
        left_out: what lay in folders and is not read.
        name: of its manifest.
        begun: the run that it goes on with.
        done: the entries of that run that stand.
        new_folders: those that were made for the outputs.
    """

    jobs: tuple[Job, ...]
    folder: pathlib.Path
    overwrite: bool
    facts: dict[str, Any]
    left_out: tuple[LeftOut, ...] = ()
    name: str = NAME
    begun: Begun | None = None
    done: tuple[dict[str, Any], ...] = ()
    new_folders: tuple[pathlib.Path, ...] = ()

    def record(self, model: dict[str, Any], settings: Settings) -> Manifest:
        """Return the manifest of this run, to be entered.

        Args:
            model: what `LoadedModel.facts` says.
            settings: what is drawn and how.

        Raises:
            OutputError: if something else stands in its place.
            UsageError: if the run that goes on had another model or other settings.
        """
        facts = {"model": model, "settings": settings.to_dict(), **self.facts}
        return Manifest(self.folder, facts, self.name, self.begun, self.done)


def make_plan(
    inputs: Inputs | Found,
    settings: Settings,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    recursive: bool = False,
    shard: Any = None,
    resume: bool = False,
) -> Plan:
    """Find the pictures, choose their outputs, and see that they can be written.

    Args:
        inputs: as for `kerasvit.look.saliency`, as the other arguments; or what has been found
            already, such as addresses that are downloaded where they are drawn.
        settings: what is drawn and how.
        out: the folder of the outputs.
        overwrite: whether existing files may be replaced.
        recursive: whether folders are gone through with all folders below them.
        shard: the part of the pictures that is drawn, `"2/8"`; None for all.
        resume: whether pictures that the last run in this folder finished are left as they are.

    Raises:
        DownloadError: if an address cannot be downloaded.
        InputError: if an input cannot be found.
        OutputError: if a file exists and may not be replaced, or cannot be written.
        UsageError: if a setting changes nothing, or the shard is none.
    """
    folder = pathlib.Path(out)
    part = None if shard is None else Shard.read(shard)
    found = _find(inputs, folder, recursive)
    if part is not None:
        check_apart(found.pictures, folder)
    videos = _videos(found, settings)
    kinds = {"video" if path in videos else "picture" for path in found.paths}
    check_uses(settings, kinds_of_outputs(settings, kinds))
    outputs = plan_outputs(found.pictures, videos, settings, folder)
    own = [picture for picture in found.pictures if part is None or part.holds(picture)]
    name = NAME if part is None else part.manifest
    begun = Begun.read(folder, name) if resume else None
    done = {} if begun is None else _still_there(begun, own, outputs, folder)
    jobs = [Job(one, outputs[one.path]) for one in own if one.name not in done]
    overwrite = overwrite or begun is not None
    planned = [job.outputs for job in jobs]
    new_folders = _checked_folders(planned, found.paths, folder, overwrite)
    facts: dict[str, Any] = {}
    if found.left_out:
        facts["left_out"] = [
            {"file": str(entry.path), "reason": entry.reason} for entry in found.left_out
        ]
    if part is not None:
        facts["shard"] = _shard_facts(part, found, len(own))
    entries = tuple(done.values())
    return Plan(
        tuple(jobs), folder, overwrite, facts, found.left_out, name, begun, entries, new_folders
    )


def _checked_folders(
    planned: Iterable[Outputs],
    inputs: Iterable[pathlib.Path],
    folder: pathlib.Path,
    overwrite: bool,
) -> tuple[pathlib.Path, ...]:
    """See that the outputs can be written, and return the folders that were made for them."""
    outputs = list(planned)
    new_folders = _missing({folder, *(one.folder for one in outputs)})
    with contextlib.ExitStack() as stack:
        stack.callback(remove_empty, new_folders)
        check_planned(outputs, inputs, folder, overwrite)
        stack.pop_all()
    return new_folders


def _missing(folders: Iterable[pathlib.Path]) -> tuple[pathlib.Path, ...]:
    """Return which of these folders, and of those above them, are not there yet, deepest first."""
    places = {place for folder in folders for place in (folder, *folder.parents)}
    missing = [place for place in places if not os.path.exists(place)]
    return tuple(sorted(missing, key=lambda place: len(place.parts), reverse=True))


def remove_empty(folders: Iterable[pathlib.Path]) -> None:
    """Remove those of some folders, the deepest first, that hold nothing."""
    for folder in folders:
        with contextlib.suppress(OSError):  # it holds something, or was never made
            folder.rmdir()


def video_plan(
    path: pathlib.Path, settings: Settings, folder: pathlib.Path, overwrite: bool
) -> Plan:
    """Return the plan of one file that is drawn frame by frame, whatever its name.

    Raises:
        OutputError: as `make_plan`.
        UsageError: as `make_plan`.
    """
    check_uses(settings, kinds_of_outputs(settings, {"video"}))
    picture = PictureFile(path, str(path))
    (outputs,) = plan_outputs([picture], {path}, settings, folder).values()
    new_folders = _checked_folders([outputs], [path], folder, overwrite)
    return Plan((Job(picture, outputs),), folder, overwrite, {}, new_folders=new_folders)


def _find(inputs: Inputs | Found, folder: pathlib.Path, recursive: bool) -> Found:
    if isinstance(inputs, Found):
        return inputs
    found = find(texts_of(inputs), SUFFIXES, recursive, folder)
    if not any(picture.is_listed for picture in found.pictures):
        return found
    made = outputs_of(folder)
    is_made = {
        picture.path: picture.is_listed and os.path.realpath(picture.path) in made
        for picture in found.pictures
    }
    if not any(is_made.values()):
        return found
    pictures = tuple(picture for picture in found.pictures if not is_made[picture.path])
    if not pictures:
        raise InputError(
            f"The inputs hold pictures that kerasvit did not draw. Received: {len(is_made)} "
            f"outputs of earlier runs in {str(folder)!r}. Name another folder"
        )
    reason = "an output of an earlier run"
    outputs = tuple(LeftOut(path, reason) for path, made in is_made.items() if made)
    return Found(pictures, (*found.left_out, *outputs))


def _videos(found: Found, settings: Settings) -> set[pathlib.Path]:
    """Return which files are drawn frame by frame."""
    wants_videos = "mp4" in settings.chosen_formats
    return {
        path
        for path in found.paths
        if path.suffix.lower() in SUFFIXES or (wants_videos and is_video(path))
    }


def _still_there(
    begun: Begun,
    pictures: Iterable[PictureFile],
    outputs: dict[pathlib.Path, Outputs],
    folder: pathlib.Path,
) -> dict[str, dict[str, Any]]:
    """Return the entries of the pictures that were drawn and whose files are all there."""
    done = {}
    for picture in pictures:
        entry = begun.entries.get(picture.name, {})
        files = outputs[picture.path].files.values()
        names = sorted(file.relative_to(folder).as_posix() for file in files)
        if sorted(entry.get("outputs", [])) == names and all(map(os.path.isfile, files)):
            done[picture.name] = entry
    return done


def _shard_facts(shard: Shard, found: Found, own: int) -> dict[str, Any]:
    names = "\n".join(sorted(picture.name for picture in found.pictures))
    return {
        "number": shard.number,
        "of": shard.of,
        "own": own,
        "pictures": len(found.pictures),
        "listing": hashlib.sha256(os.fsencode(names)).hexdigest(),
    }
