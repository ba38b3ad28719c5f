"""Conversion of a foreign checkpoint: read, detect, assign, verify, write."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasvit.conversion.architecture import model_for
from kerasvit.conversion.checkpoint import Checkpoint, open_checkpoint
from kerasvit.conversion.detection import Detected, detect
from kerasvit.conversion.foreign import in_timm_names
from kerasvit.conversion.rules import Assignment, assign, variables_by_path
from kerasvit.conversion.sources import find_source
from kerasvit.conversion.unwrapping import unwrap
from kerasvit.conversion.verify import Parity, reference_available, verify_model
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.files import atomic_path
from kerasvit.layers.base import without_random_start
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.releases import find_release, list_releases

_HEADS = ("head", "distillation_head")


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    Args:
        model: the model with the checkpoint's weights.
        notes: what was done, in sentences.
        parity: how far the model is from the source's own forward pass; None if not verified.
    """

    model: ScoreModel
    notes: tuple[str, ...]
    parity: Parity | None


def convert(
    source: Any,
    output: str | os.PathLike | None = None,
    model: str | None = None,
    *,
    image_shape: tuple[int, int] | None = None,
    num_classes: int | None = None,
    release: str | None = None,
    select: str | None = None,
    sha256: str | None = None,
    verify: bool | None = None,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
    **overrides,
) -> Conversion:
    """Convert a checkpoint of timm, DINO, DINOv2, DeiT or CaiT to a Keras model.

    Every tensor of the checkpoint is used once or dropped for a stated reason, every weight of the
    model is assigned once, all shapes agree and all values are finite; if not, nothing is written.

    Args:
        source: path of a `.pth`, `.pt`, `.bin`, `.safetensors` or `.npz` file, a mapping of names
            to arrays, a live `torch.nn.Module`, an open `Checkpoint`, or what is downloaded: the
            name of a release, an `https://` address or `hf://organisation/name[@revision][/file]`.
        output: path of the `.keras` file to write; None to write none.
        model: name of the architecture, or of a release; None to detect it.
        image_shape: `(height, width)` that the weights were trained with; needed for a position
            embedding whose grid is not square.
        num_classes: classes of the model. If it differs from the checkpoint's, the head keeps its
            random start; 0 leaves the head out. None for as many as the checkpoint has.
        release: name of the release that the weights belong to, for preprocessing and licence; None
            for the one that the model's name suggests.
        select: "teacher" or "student" of a full DINO checkpoint.
        sha256: published digest of the file, or its first 8 digits or more.
        verify: whether the model is compared with the source's own forward pass, in timm. None: if
            timm and torch are installed and a file is written.
        overwrite: whether an existing output is replaced.
        report: called with each line that says what is being done.
        **overrides: further arguments of the model, such as `attention="cls"` or
            `position_resampling`.

    Returns:
        The model, what was done, and the parity figures.

    Raises:
        DownloadError: if the checkpoint is elsewhere and can't be had.
        InputError: if the checkpoint is missing, damaged, unsafe or holds another architecture, or
            the converted model does not agree with the source.
        OutputError: if the output cannot be written, or exists and `overwrite` is False.
        UsageError: if an argument is wrong, or a package is missing.
    """
    if output is not None:
        _check_output(pathlib.Path(output), source, overwrite)
    remote = find_source(source)
    if remote is not None:
        source, sha256 = remote.open(sha256, report), None
        model, release = model or remote.model, release or remote.release_name
        image_shape = image_shape or remote.image_shape
        overrides = {**remote.overrides, **overrides}
    checkpoint = in_timm_names(unwrap(_open(source, sha256), select))
    detected = detect(checkpoint)
    layout = checkpoint.layout or detected.layout.name
    name, record = _name_and_record(model, release, detected, layout)
    overrides = {**_implied_arguments(detected, checkpoint, num_classes), **overrides}
    report(f"Found {detected.summary} in the layout {layout!r}.")
    head = _head_arguments(detected, num_classes)
    with contextlib.nullcontext() if head.is_random else without_random_start():
        keras_model = model_for(
            detected, name, checkpoint.label, image_shape, **head.arguments, **overrides
        )
    assignment = _assign(keras_model, checkpoint, detected, head)
    report(
        f"Assigned {assignment.num_variables} weights from {assignment.num_source_tensors} tensors."
    )
    parity = _verify(keras_model, checkpoint, detected, verify, output, head, report)
    notes = (*checkpoint.notes, *(f"Dropped {k}: {v}." for k, v in assignment.dropped.items()))
    keras_model.record = {**record, **_provenance(checkpoint, detected, assignment, parity)}
    if output is not None:
        _write(keras_model, pathlib.Path(output), overwrite)
        report(f"Wrote {str(output)!r}, reloaded it and found the same weights.")
    return Conversion(keras_model, notes, parity)


@dataclasses.dataclass(frozen=True)
class _Head:
    """What becomes of the checkpoint's classifier."""

    arguments: dict[str, int]
    drop: dict[str, str]
    is_random: bool


def _head_arguments(detected: Detected, num_classes: int | None) -> _Head:
    if num_classes is None or num_classes == detected.num_classes:
        return _Head({}, {}, False)
    reason = f"num_classes={num_classes} was asked for instead of {detected.num_classes}"
    return _Head({"num_classes": num_classes}, {"head*": reason}, num_classes > 0)


def _open(source, sha256) -> Checkpoint:
    if sha256 is not None and len(sha256) < 64:
        return open_checkpoint(source, sha256_prefix=sha256)
    return open_checkpoint(source, sha256=sha256)


def _check_output(output: pathlib.Path, source, overwrite: bool) -> None:
    if output.suffix != ".keras":
        raise UsageError(
            f"The output must end in .keras. Received: {str(output)!r}. Name it "
            f"{str(output.with_suffix('.keras'))!r}"
        )
    if output.exists() and _is_same_file(source, output):
        raise OutputError(
            f"The output must be another file than the source. Received: {str(output)!r} for both. "
            "Choose another output"
        )
    # Fails now, and not after minutes of work, if the file cannot be written at all.
    try:
        with atomic_path(output, overwrite):
            raise _Checked
    except _Checked:
        pass


def _is_same_file(source, output: pathlib.Path) -> bool:
    is_path = isinstance(source, str | os.PathLike)
    return is_path and os.path.exists(source) and os.path.samefile(source, output)


class _Checked(Exception):
    """Ends the trial write of `_check_output` before it replaces anything."""


def _name_and_record(model, release, detected, layout):
    """Return the variant's name, and what the release's record says about its weights."""
    if release is None and model is not None and "." in model:
        release = model
    found = find_release(release) if release else None
    name = model if found is None or model not in (None, release) else found.model
    if found is None and name is not None:
        found = _likely_release(name, layout)
    if found is None:
        return name, {}
    record = {
        "release": found.name,
        "licence": found.licence,
        "reference": found.reference,
        "preprocessing": _jsonable(found.preprocessing),
    }
    if detected.num_classes and detected.num_classes == found.num_classes:
        record["class_names"] = list(found.class_names) or _class_names(found.classes)
    return name, {key: value for key, value in record.items() if value}


def _likely_release(name: str, layout: str):
    """Return a release of this architecture that has the same layout, for its preprocessing."""
    factory.variant(name)
    base = factory.canonical_name(name)
    releases = [one for one in list_releases() if one.model == base]
    named = [one for one in releases if name in (one.name, *one.aliases)]
    alike = [one for one in releases if layout in (one.layout, one.url_layout)]
    return next(iter(named or alike or releases), None)


def _class_names(classes: str | None) -> list[str]:
    if classes != "imagenet-1k" or not reference_available():
        return []
    from kerasvit.conversion.reference import import_timm

    info = import_timm().data.ImageNetInfo()
    return [info.index_to_description(index) for index in range(1000)]


def _jsonable(preprocessing) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in preprocessing.items()}


def _implied_arguments(
    detected: Detected, checkpoint: Checkpoint, num_classes: int | None
) -> dict[str, Any]:
    """Return what a layout implies where the variant does not say: resampling and head."""
    implied: dict[str, Any] = dict(checkpoint.arguments)
    if num_classes == 0:
        implied = {key: value for key, value in implied.items() if not key.startswith("head_")}
    if detected.family == "vit" and detected.layout.name == "dinov2":
        registers = detected.structure["num_registers"]
        rule = "bicubic_antialias" if registers else "bicubic_offset"
        implied.setdefault("position_resampling", rule)
    return implied


def _assign(model, checkpoint, detected, head) -> Assignment:
    keep = [path for path in variables_by_path(model) if path.split("/")[0] in _HEADS]
    return assign(model, checkpoint, detected.layout, head.drop, keep if head.is_random else ())


def _verify(model, checkpoint, detected, verify, output, head, report) -> Parity | None:
    if verify is None:
        verify = output is not None and reference_available()
        if output is not None and not verify:
            report(
                'Not compared with the source\'s model: pip install "kerasvit[convert]" for that.'
            )
    if not verify or head.is_random:
        return None
    parity = verify_model(model, checkpoint, detected)
    report(f"Compared with timm: {parity.summary}")
    return parity


def _provenance(checkpoint, detected, assignment, parity) -> dict[str, Any]:
    return {
        "source": {
            "file": checkpoint.path.name if checkpoint.path else "weights in memory",
            "sha256": checkpoint.sha256,
            "layout": checkpoint.layout or detected.layout.name,
            "notes": list(checkpoint.notes),
            "num_tensors": assignment.num_source_tensors,
            "dropped": {**checkpoint.dropped, **assignment.dropped},
        },
        "parity": parity.to_dict() if parity else None,
        "converted": datetime.date.today().isoformat(),
        "versions": {name: importlib.metadata.version(name) for name in ("kerasvit", "keras")},
    }


def _write(model: ScoreModel, output: pathlib.Path, overwrite: bool) -> None:
    """Save, reload and compare before the new file takes the old one's place."""
    from kerasvit.pretrained import load

    with atomic_path(output, overwrite) as temporary:
        # Not `model.save`, which is atomic by itself and would name the temporary file in errors.
        keras.Model.save(model, temporary)
        saved = variables_by_path(load(temporary))
        for path, variable in variables_by_path(model).items():
            if not np.array_equal(*map(keras.ops.convert_to_numpy, (variable, saved[path]))):
                raise InputError(
                    f"{path} came back changed from the file that was written; it must be the "
                    f"same. Received: another value in {str(output)!r}. Check the disk, try again"
                )
