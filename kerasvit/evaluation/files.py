"""Evaluation of files: photographs and masks in, a report in JSON or CSV and its plot out."""

import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kerasvit import __version__
from kerasvit.errors import InputError, UsageError
from kerasvit.evaluation.evaluate import (
    check_reference,
    confidence_facts,
    evaluate_saliency,
)
from kerasvit.evaluation.masks import evaluate_masks, objects_of
from kerasvit.evaluation.statistics import Bootstrap
from kerasvit.evaluation.tables import as_csv
from kerasvit.files import atomic_path
from kerasvit.images import Preprocessing, read

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

MASK_SUFFIX = ".png"
REPORTS = ("json", "csv")
PLOTS = ("png", "pdf", "svg")


def evaluate_files(
    model: "ScoreModel",
    preprocessing: Preprocessing,
    paths: Sequence[str | os.PathLike[str]],
    methods: Sequence[str],
    metrics: Sequence[str] = ("perturbation", "insertion_deletion", "grid_pointing"),
    *,
    masks: str | os.PathLike[str] | None = None,
    report: Callable[[str], None] | None = None,
    open_picture: Callable[[pathlib.Path], np.ndarray] = read,
    advance: Callable[[], None] = lambda: None,
    **settings: Any,
) -> dict[str, Any]:
    """Measure methods on photographs; one that cannot be used is named, and the others count.

    Args:
        model: a kerasvit model.
        preprocessing: its own.
        paths: the photographs.
        methods: of `kerasvit.saliency.METHODS`.
        metrics: of `METRICS`; may be empty where there are masks.
        masks: a folder with the labels of each photograph under its name and `.png`, see
            `objects_of`; None for none.
        report: called with a line for each step and for each photograph that fails.
        open_picture: reads a photograph; uint8 `(H, W, 3)`.
        advance: called after each step of `evaluate_saliency`, and after each mask.
        **settings: of `evaluate_saliency`: `target`, `options`, `baseline`, `seed`, `batch_size`,
            `reference`.

    Returns:
        The report: that of `evaluate_saliency`, under `masks` that of `evaluate_masks`, `files`,
        `failed` (messages by file), `version`.

    Raises:
        InputError: if no photograph can be used, for instance since its mask is missing.
        UsageError: as `evaluate_saliency`.
    """
    say = report or (lambda line: None)
    if not metrics and masks is None:
        raise UsageError("There is nothing to measure. Received: no metrics and no masks.")
    folder = None if masks is None else pathlib.Path(masks)
    good, pixels, failed = _prepared(preprocessing, paths, folder, open_picture, say)
    if not good:
        raise InputError(
            "An evaluation needs photographs. "
            f"Received: {len(failed)}, none of which can be used. See the messages above."
        )
    reference = check_reference(settings.pop("reference", None), methods)
    facts = confidence_facts(reference, Bootstrap(settings.get("seed", 0)))
    measured: dict[str, Any] = {"version": __version__, "n": len(good), **facts, "methods": {}}
    if metrics:
        arguments = {"report": say, "advance": advance, "reference": reference, **settings}
        measured |= evaluate_saliency(model, np.stack(pixels), methods, metrics, **arguments)
    if folder is not None:
        say("masks")
        examples = _examples(preprocessing, good, folder, open_picture, advance)
        names = ("target", "options", "seed")
        shared = {name: settings[name] for name in names if name in settings}
        shared["reference"] = reference
        measured["masks"] = evaluate_masks(model, examples, methods, **shared)
    return {**measured, "files": [str(path) for path in good], "failed": failed}


def _prepared(
    preprocessing: Preprocessing,
    paths: Sequence[str | os.PathLike[str]],
    folder: pathlib.Path | None,
    open_picture: Callable[[pathlib.Path], np.ndarray],
    say: Callable[[str], None],
) -> tuple[list[pathlib.Path], list[np.ndarray], dict[str, str]]:
    """Return the photographs that can be used, their pixels, and the messages of the others."""
    good: list[pathlib.Path] = []
    pixels: list[np.ndarray] = []
    failed: dict[str, str] = {}
    for path in map(pathlib.Path, paths):
        try:
            image = open_picture(path)
            if folder is not None:
                _labels_of(path, image, folder)
            pixels.append(preprocessing.evaluate(image).pixels)
            good.append(path)
        except InputError as error:
            if len(paths) == 1:
                raise
            failed[str(path)] = str(error)
            say(str(error))
    return good, pixels, failed


def _examples(
    preprocessing: Preprocessing,
    paths: Sequence[pathlib.Path],
    folder: pathlib.Path,
    open_picture: Callable[[pathlib.Path], np.ndarray],
    advance: Callable[[], None],
) -> Iterator[tuple[np.ndarray, Any, np.ndarray]]:
    """Yield what `evaluate_masks` takes, reading one photograph at a time."""
    for path in paths:
        image = open_picture(path)
        prepared = preprocessing.evaluate(image)
        yield prepared.pixels, prepared.geometry, _labels_of(path, image, folder)
        advance()


def _labels_of(path: pathlib.Path, image: np.ndarray, folder: pathlib.Path) -> np.ndarray:
    """Return the labels of a photograph, `(H, W)`, that name at least one object."""
    labels = read_labels(mask_of(path, folder))
    if labels.shape != image.shape[:2]:
        raise InputError(
            f"A mask is as large as its photograph {str(path)!r}, {image.shape[:2]}. "
            f"Received: {labels.shape}. Save it at the photograph's size."
        )
    try:
        objects_of(labels)
    except InputError as error:
        raise InputError(f"The mask of {str(path)!r}: {error}") from error
    return labels


def mask_of(path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Return where the mask of a photograph lies: below the same sub-folders, as far as there are.

    Args:
        path: of the photograph, such as `photos/cat/00.jpg`.
        folder: of the masks: `folder/photos/cat/00.png`, `folder/cat/00.png` or `folder/00.png`,
            the first of these that is there.
    """
    name = f"{path.stem}{MASK_SUFFIX}"
    parents = path.parent.parts[1:] if path.is_absolute() else path.parent.parts
    places = [folder.joinpath(*parents[start:], name) for start in range(len(parents) + 1)]
    return next((place for place in places if os.path.isfile(place)), folder / name)


def read_labels(path: pathlib.Path) -> np.ndarray:
    """Read a picture of labels: its numbers as they are, not its colours.

    Raises:
        InputError: if the file is missing, damaged, or has several channels.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            labels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"The mask {str(path)!r} cannot be read; it must be a PNG. Received: {reason}. "
            "Give each photograph a mask of its name."
        ) from error
    if labels.ndim != 2:
        raise InputError(
            f"The mask {str(path)!r} must have one channel, with the objects' numbers. "
            f"Received: shape {labels.shape}. Save it as grey or with a palette."
        )
    return labels


def ending_of(path: str | os.PathLike[str], endings: Sequence[str], what: str) -> str:
    """Return the ending of a file's name, without its dot.

    Raises:
        UsageError: if it is none of those.
    """
    ending = pathlib.Path(path).suffix.lower().removeprefix(".")
    if ending not in endings:
        raise UsageError(
            f"The name of {what} ends in {', '.join(f'.{known}' for known in endings)}. "
            f"Received: {os.fspath(path)!r}. Choose one of these endings."
        )
    return ending


def write_report(
    report: Mapping[str, Any], path: str | os.PathLike[str], overwrite: bool = False
) -> None:
    """Write a report, atomically: all of it as JSON, or its figures as CSV, see `tables.rows`.

    Args:
        report: of `evaluate_files` or `evaluate_saliency`.
        path: ends in `.json` or `.csv`.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
        UsageError: if the name has another ending.
    """
    if ending_of(path, REPORTS, "a report") == "csv":
        text = as_csv(report)
    else:
        # Escapes alone hold file names that are no valid Unicode.
        text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    with atomic_path(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_plot(
    report: Mapping[str, Any], path: str | os.PathLike[str], overwrite: bool = False
) -> None:
    """Draw the curves of a report, one panel each, a line a method with its 95 % band.

    Args:
        report: of `evaluate_files` or `evaluate_saliency`.
        path: ends in `.png`, `.pdf` or `.svg`.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: as `write_report`.
        UsageError: if the report has no curves, the name has another ending, or Matplotlib is not
            installed.
    """
    from kerasvit.evaluation.plot import draw_curves

    kind = ending_of(path, PLOTS, "a plot")
    with atomic_path(path, overwrite) as temporary:
        draw_curves(report, temporary, kind)
