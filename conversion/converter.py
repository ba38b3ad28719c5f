"""Conversion of a foreign checkpoint: read, detect, assign, verify, write."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

from kerasvit.conversion.architecture.detected import Detected, detect
from kerasvit.conversion.architecture.fitting import left_out, model_for
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names.flexible import fit
from kerasvit.conversion.names.rules import Assignment, assign, variables_by_path
from kerasvit.conversion.proof.parity import Parity, reference_available, verify_model
from kerasvit.conversion.recording import name_and_record, provenance
from kerasvit.conversion.sources.opening import open_source
from kerasvit.conversion.writing import check_output, write
from kerasvit.layers.base import without_random_start
from kerasvit.memory import free_memory
from kerasvit.models.base import ScoreModel

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
    head: Any = None,
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
    """Convert a checkpoint of a ViT, DeiT, DINO, DINOv2 or CaiT to a Keras model.

    Every tensor of the checkpoint is used once or dropped for a stated reason, every weight of the
    model is assigned once, all shapes agree and all values are finite; if not, nothing is written.

    Args:
        source: path of a `.pth`, `.pt`, `.bin`, `.safetensors` or `.npz` file, of the index of a
            sharded one or of a folder that holds one; a mapping of names to arrays, a live
            `torch.nn.Module`, an open `Checkpoint`; or what is downloaded: the name of a release,
            an `https://` address or `hf://organisation/name[@revision][/file]`. Names of timm,
            DINO, DINOv2, DeiT, Hugging Face's transformers and Google's `.npz` files are known.
        output: path of the `.keras` file to write; None to write none.
        model: name of the architecture, or of a release; None to detect it.
        head: a linear head that makes a classifier of the backbone, given likewise; the release of
            a head, such as "dino_vits8.linear", is a source that brings its backbone.
        image_shape: `(height, width)` that the weights were trained with; needed for a position
            embedding whose grid is not square.
        num_classes: classes of the model. If it differs from the checkpoint's, the head keeps its
            random start; 0 leaves the head out. None for as many as the checkpoint has.
        release: name of the release that the weights belong to, for preprocessing and licence; None
            for the one that the model's name suggests.
        select: network of a full training checkpoint: "teacher" or "student" of DINO and DINOv2,
            "encoder" or "target_encoder" of I-JEPA.
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
        check_output(pathlib.Path(output), source, overwrite)
    opened = open_source(source, head, select=select, sha256=sha256, report=report)
    checkpoint, known = opened.checkpoint, opened.known
    if known is not None:
        model, release = model or known.model, release or known.release_name
        image_shape = image_shape or known.image_shape
        overrides = {**known.overrides, **overrides}
    detected = detect(checkpoint)
    layout = checkpoint.layout or detected.layout.name
    name, record = name_and_record(model, release, detected, layout)
    fitted = fit(checkpoint, name, image_shape, overrides)
    if fitted is not checkpoint:
        checkpoint, detected = fitted, detect(fitted)
    overrides = {**_implied_arguments(detected, checkpoint, num_classes), **overrides}
    report(f"Found {detected.summary} in the layout {layout!r}.")
    classifier = _classifier(detected, num_classes)
    with contextlib.nullcontext() if classifier.is_random else without_random_start():
        keras_model = model_for(
            detected, name, checkpoint.label, image_shape, **classifier.arguments, **overrides
        )
    assignment = _assign(keras_model, checkpoint, detected, classifier)
    free_memory()
    report(
        f"Assigned {assignment.num_variables} weights from {assignment.num_source_tensors} tensors."
    )
    parity = _verify(keras_model, checkpoint, detected, verify, output, classifier, report)
    notes = (*checkpoint.notes, *(f"Dropped {k}: {v}." for k, v in assignment.dropped.items()))
    keras_model.record = {**record, **provenance(checkpoint, detected, assignment, parity)}
    if output is not None:
        models = [keras_model]
        del keras_model  # so that `write` can let go of it
        keras_model = write(models, pathlib.Path(output), overwrite)
        report(f"Wrote {str(output)!r}, reloaded it and found the same weights.")
    return Conversion(keras_model, notes, parity)


@dataclasses.dataclass(frozen=True)
class _Classifier:
    """What becomes of the checkpoint's classifier."""

    arguments: dict[str, int]
    drop: dict[str, str]
    is_random: bool


def _classifier(detected: Detected, num_classes: int | None) -> _Classifier:
    if num_classes is None or num_classes == detected.num_classes:
        return _Classifier({}, {}, False)
    reason = f"num_classes={num_classes} was asked for instead of {detected.num_classes}"
    return _Classifier({"num_classes": num_classes}, {"head*": reason}, num_classes > 0)


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


def _assign(model, checkpoint, detected, classifier) -> Assignment:
    keep = [path for path in variables_by_path(model) if path.split("/")[0] in _HEADS]
    drop = {**classifier.drop, **left_out(detected, model)}
    return assign(model, checkpoint, detected.layout, drop, keep if classifier.is_random else ())


def _verify(model, checkpoint, detected, verify, output, classifier, report) -> Parity | None:
    if verify is None:
        verify = output is not None and reference_available()
        if output is not None and not verify:
            report(
                'Not compared with the source\'s model: pip install "kerasvit[convert]" for that.'
            )
    if not verify or classifier.is_random:
        return None
    parity = verify_model(model, checkpoint, detected)
    free_memory()  # timm's model is as large as ours
    report(f"Compared with timm: {parity.summary}")
    return parity
