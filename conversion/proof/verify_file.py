"""The parity report of a file that was converted before, against its source once more."""

import os
from collections.abc import Callable
from typing import Any

from kerasvit.conversion.architecture.detected import Detected, detect
from kerasvit.conversion.architecture.fitting import left_out
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names.flexible import fit
from kerasvit.conversion.names.rules import prove
from kerasvit.conversion.proof.parity import Parity, measure_model
from kerasvit.conversion.sources.opening import open_source
from kerasvit.errors import InputError
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel


def verify_file(
    path: str | os.PathLike,
    source: Any,
    *,
    head: Any = None,
    select: str | None = None,
    sha256: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Parity:
    """Compare a `.keras` file with the checkpoint that it was converted from, as timm runs it.

    Args:
        path: a file that kerasvit wrote.
        source: the checkpoint, as for `kerasvit.conversion.convert`.
        head: its linear head, likewise.
        select: network of a training checkpoint.
        sha256: published digest of the source, or its first digits.
        report: called with each line that says what is being done.

    Returns:
        The figures, whether they are within their bars or not: `Parity.rows` says.

    Raises:
        DownloadError: if the source is elsewhere and can't be had.
        InputError: if a file is missing, damaged or unsafe, or the two are different models.
        UsageError: if an argument is wrong, or torch or timm is missing.
    """
    from kerasvit.pretrained import load

    model = load(path)
    checkpoint = open_source(source, head, select=select, sha256=sha256, report=report).checkpoint
    name = factory.canonical_name(model.name)
    checkpoint = fit(checkpoint, name, model.image_shape, {"patch_size": model.patch_size[0]})
    detected = detect(checkpoint)
    _check_fits(model, checkpoint, detected)
    converted = model.record.get("source", {})
    if isinstance(converted, dict) and converted.get("sha256") not in (None, checkpoint.sha256):
        report(f"The record of {str(path)!r} names another source: {converted['sha256']}.")
    return measure_model(model, checkpoint, detected)


def _check_fits(model: ScoreModel, checkpoint: Checkpoint, detected: Detected) -> None:
    drop = left_out(detected, model)
    if not model.num_classes:
        drop = {**drop, "head*": "the model has no head"}
    elif model.num_classes != detected.num_classes:
        raise InputError(
            f"{checkpoint.label} has another head than the model: {model.num_classes} classes are "
            f"needed. Received: {detected.num_classes}. Verify a model with the source's own head"
        )
    prove(model, checkpoint, detected.layout, drop)
