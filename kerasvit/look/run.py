"""Pictures and videos in, files and a manifest out: load, prepare, explain, draw, write."""

import contextlib
import dataclasses
import os
import pathlib
from typing import Any

from kerasvit.errors import KerasViTError, UsageError
from kerasvit.look.desk import Desk
from kerasvit.look.explainer import PreparedPicture
from kerasvit.look.models import load_model
from kerasvit.look.pictures import each_picture
from kerasvit.look.planning.plan import Inputs, Plan, make_plan, remove_empty, video_plan
from kerasvit.look.results import Drawn, Listener, Run
from kerasvit.look.settings import Settings


def saliency(
    inputs: Inputs,
    model: Any = None,
    *,
    out: str | os.PathLike[str] = "out",
    settings: Settings | None = None,
    overwrite: bool = False,
    fail_fast: bool = True,
    recursive: bool = False,
    shard: str | tuple[int, int] | None = None,
    resume: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> Run:
    """Draw where a model looks in pictures and videos, as `kerasvit saliency` does.

    Nothing is printed. What can be refused is refused before any work.

    Args:
        inputs: pictures, videos, folders, globs, addresses `https://...`, `"-"` for the standard
            input, or `"sample:NAME"`; one or several.
        model: as for `kerasvit.look.load_model`: a release, a file, a model; None: the small CaiT
            in the package.
        out: the folder of the outputs; it is made if missing.
        settings: what is drawn and how; or pass its fields by name.
        overwrite: whether existing files may be replaced.
        fail_fast: whether the first picture that fails ends the run with its error. If not, the
            others go on, and `Run.failed` holds the errors; the error of a single picture is raised
            all the same.
        recursive: whether folders are gone through with all folders below them, which come back in
            the outputs' paths.
        shard: the part of the pictures that is drawn, `"2/8"` or `(2, 8)`, where several processes
            share the work, see `kerasvit.look.merge_manifests`.
        resume: whether the last run in this folder goes on: what it finished is left as it is.
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
    plan = make_plan(
        inputs,
        settings,
        out,
        overwrite=overwrite,
        recursive=recursive,
        shard=shard,
        resume=resume,
    )
    return _draw_all(plan, model, settings, fail_fast, listener or Listener())


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
    plan = video_plan(pathlib.Path(path), settings, pathlib.Path(out), overwrite)
    return _draw_all(plan, model, settings, True, listener or Listener())[0]


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


def _draw_all(
    plan: Plan, model: Any, settings: Settings, fail_fast: bool, listener: Listener
) -> Run:
    with contextlib.ExitStack() as stack:
        stack.callback(remove_empty, plan.new_folders)
        if plan.left_out:
            listener.left_out(plan.left_out)
        loaded = load_model(model, precision=settings.precision)
        desk = Desk(loaded, settings, plan.folder, plan.overwrite, listener)
        jobs = {job.picture.path: job for job in plan.jobs}
        drawn: list[Drawn] = []

        def work(path: pathlib.Path, opened: tuple[PreparedPicture | None, list[str]]) -> None:
            picture, entry = desk.draw(jobs[path], opened)
            manifest.add(jobs[path].picture.name, **entry)
            drawn.append(picture)
            listener.drew(picture)

        def passed(path: pathlib.Path, error: KerasViTError | None) -> None:
            if error is not None:
                listener.passed_over(path, error)
            listener.advanced()

        manifest = stack.enter_context(plan.record(loaded.facts(), settings))
        listener.started(len(jobs))
        failed = each_picture(
            list(jobs),
            lambda path: desk.open(jobs[path]),
            work,
            fail_fast=fail_fast,
            failed=lambda path, error: manifest.fail(jobs[path].picture.name, error),
            passed=passed,
        )
    return Run(plan.folder, manifest.path, tuple(drawn), failed, plan.left_out)
