"""Pictures and videos in, files and a manifest out: load, prepare, explain, draw, write."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

from kerasvit.errors import KerasViTError, UsageError
from kerasvit.images import resolve
from kerasvit.look.artist import Artist
from kerasvit.look.explainer import Explained, Explainer, PreparedPicture
from kerasvit.look.manifest import Manifest
from kerasvit.look.models import load_model
from kerasvit.look.outputs import Outputs, plan_outputs
from kerasvit.look.pictures import each_picture
from kerasvit.look.results import Drawn, Listener, Run
from kerasvit.look.settings import Settings
from kerasvit.look.uses import check_uses, outputs_of
from kerasvit.look.video import draw_video
from kerasvit.render.video.frames import SUFFIXES, is_video

Inputs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def saliency(
    inputs: Inputs,
    model: Any = None,
    *,
    out: str | os.PathLike[str] = "out",
    settings: Settings | None = None,
    overwrite: bool = False,
    fail_fast: bool = True,
    listener: Listener | None = None,
    **options: Any,
) -> Run:
    """Draw where a model looks in pictures and videos, as `kerasvit saliency` does.

    Nothing is printed. What can be refused is refused before any work.

    Args:
        inputs: pictures, videos, folders, globs, or `"sample:NAME"`; one or several.
        model: as for `kerasvit.look.load_model`: a release, a file, a model; None: the small CaiT
            in the package.
        out: the folder of the outputs; it is made if missing.
        settings: what is drawn and how; or pass its fields by name.
        overwrite: whether existing files may be replaced.
        fail_fast: whether the first picture that fails ends the run with its error. If not, the
            others go on, and `Run.failed` holds the errors; the error of a single picture is raised
            all the same.
        listener: hears how the run goes on.
        **options: fields of `kerasvit.look.Settings`, such as `method=("attention", "rollout")`,
            `formats=("png", "gif")`, `heads="max"`.

    Returns:
        The files that were written, by picture.

    Raises:
        DownloadError: if the model cannot be downloaded.
        InputError: if an input cannot be read.
        OutputError: if a file exists and `overwrite` is false, or cannot be written.
        UsageError: if a setting is wrong, or the model lacks what is asked for.
    """
    settings = make_settings(settings, options)
    paths, videos = find_inputs(inputs, settings)
    return _draw_all(
        _Plan(paths, videos, pathlib.Path(out), overwrite, fail_fast),
        model,
        settings,
        listener or Listener(),
    )


def video(
    path: str | os.PathLike[str],
    model: Any = None,
    *,
    out: str | os.PathLike[str] = "out",
    settings: Settings | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> Drawn:
    """Draw where a model looks in every frame of a video or an animation.

    Args:
        path: the video; a GIF, PNG or WebP of several pictures whatever the formats.
        model: as for `saliency`, as the arguments that follow.
        out: the folder of the outputs.
        settings: what is drawn and how.
        overwrite: whether existing files may be replaced.
        listener: hears which frames are done.
        **options: fields of `kerasvit.look.Settings`, such as `mode="overlay"`.

    Returns:
        The files that were written.

    Raises:
        KerasViTError: as `saliency`.
    """
    settings = make_settings(settings, options)
    place = pathlib.Path(path)
    plan = _Plan([place], {place}, pathlib.Path(out), overwrite, fail_fast=True)
    return _draw_all(plan, model, settings, listener or Listener())[0]


def make_settings(settings: Settings | None, options: dict[str, Any]) -> Settings:
    """Return settings with some of their fields replaced.

    Raises:
        UsageError: if there is no such field.
    """
    known = [field.name for field in dataclasses.fields(Settings)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(
            f"There is no such setting. Received: {', '.join(unknown)}. "
            f"Choose among {', '.join(known[:-1])}."
        )
    return dataclasses.replace(settings or Settings(), **options)


def find_inputs(inputs: Inputs, settings: Settings) -> tuple[list[pathlib.Path], set[pathlib.Path]]:
    """Return the files that the inputs name, and which of them are videos.

    Raises:
        InputError: if there is no such file.
    """
    texts = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    paths = resolve([os.fspath(text) for text in texts], SUFFIXES)
    wants_videos = "mp4" in settings.chosen_formats
    videos = {
        path
        for path in paths
        if path.suffix.lower() in SUFFIXES or (wants_videos and is_video(path))
    }
    return paths, videos


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Which files are read, and where to the others go."""

    paths: list[pathlib.Path]
    videos: set[pathlib.Path]
    folder: pathlib.Path
    overwrite: bool
    fail_fast: bool


def _draw_all(plan: _Plan, model: Any, settings: Settings, listener: Listener) -> Run:
    kinds = {"video" if path in plan.videos else "picture" for path in plan.paths}
    check_uses(settings, outputs_of(settings, kinds))
    outputs = plan_outputs(plan.paths, plan.videos, settings, plan.folder, plan.overwrite)
    loaded = load_model(model)
    desk = _Desk(Explainer(loaded, settings), plan.overwrite, listener)
    drawn: list[Drawn] = []

    def load(path: pathlib.Path) -> PreparedPicture | None:
        return None if path in plan.videos else desk.explainer.open(path)

    def work(path: pathlib.Path, picture: PreparedPicture | None) -> None:
        if picture is None:
            drawn.append(desk.draw_video(path, outputs[path], manifest))
        else:
            drawn.append(desk.draw_picture(path, picture, outputs[path], manifest))
        listener.drew(drawn[-1])

    def passed(path: pathlib.Path, error: KerasViTError | None) -> None:
        if error is not None:
            listener.passed_over(path, error)
        listener.advanced()

    listener.started(len(plan.paths))
    facts = {"model": loaded.facts(), "settings": settings.to_dict()}
    with Manifest(plan.folder, facts) as manifest:
        failed = each_picture(
            plan.paths,
            load,
            work,
            fail_fast=plan.fail_fast,
            failed=manifest.fail,
            passed=passed,
        )
    return Run(plan.folder, manifest.path, tuple(drawn), failed)


class _Desk:
    """Where one picture or video after the other is drawn and noted in the manifest."""

    def __init__(self, explainer: Explainer, overwrite: bool, listener: Listener) -> None:
        self.explainer, self.artist = explainer, Artist(explainer)
        self.overwrite, self.listener = overwrite, listener

    def draw_picture(
        self, path: pathlib.Path, picture: PreparedPicture, outputs: Outputs, manifest: Manifest
    ) -> Drawn:
        started = time.perf_counter()
        explained = self.explainer.explain(picture)
        title = self.explainer.settings.title
        heading = _heading(path) if title is None else title
        self.artist.write(explained, outputs.files, heading, self.overwrite)
        seconds = round(time.perf_counter() - started, 3)
        names = [file.name for file in outputs.files.values()]
        manifest.add(path, **_facts(explained, names), seconds=seconds)
        classes, flat = tuple(explained.classes), tuple(explained.flat)
        return Drawn(path, "picture", dict(outputs.files), seconds, classes, flat)

    def draw_video(self, path: pathlib.Path, outputs: Outputs, manifest: Manifest) -> Drawn:
        started = time.perf_counter()
        for method in self.explainer.settings.video_methods:
            files = [file for name, file in outputs.files.items() if name.startswith(f"{method}.")]
            report = self.listener.frame_done
            draw_video(path, self.explainer, method, files, self.overwrite, report)
        seconds = round(time.perf_counter() - started, 3)
        parent = manifest.path.parent
        names = [file.relative_to(parent).as_posix() for file in outputs.files.values()]
        manifest.add(path, outputs=names, seconds=seconds)
        return Drawn(path, "video", dict(outputs.files), seconds)


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


def _heading(path: pathlib.Path) -> str:
    """Return a picture's name as a font can write it."""
    return path.stem if path.stem.isprintable() else repr(path.stem)[1:-1]
