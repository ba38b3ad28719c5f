"""What a converted model says about itself: its release, its source and what was checked."""

import datetime
import importlib.metadata
from typing import Any

from kerasvit.conversion.architecture.detected import Detected
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names.rules import Assignment
from kerasvit.conversion.proof.parity import Parity, reference_available
from kerasvit.models import factory
from kerasvit.releases import Release, find_release, list_releases


def name_and_record(
    model: str | None, release: str | None, detected: Detected, layout: str
) -> tuple[str | None, dict[str, Any]]:
    """Return the variant's name, and what the release's record says about its weights.

    Args:
        model: the name asked for, of a variant or a release; None for none.
        release: the release asked for.
        detected: what the checkpoint holds.
        layout: how the checkpoint named its tensors.

    Raises:
        UsageError: if there is no such release or variant.
    """
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


def provenance(
    checkpoint: Checkpoint, detected: Detected, assignment: Assignment, parity: Parity | None
) -> dict[str, Any]:
    """Return where the weights come from and what was found out about them, as JSON-able values."""
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


def _likely_release(name: str, layout: str) -> Release | None:
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
    from kerasvit.conversion.proof.timm.package import import_timm

    info = import_timm().data.ImageNetInfo()
    return [info.index_to_description(index) for index in range(1000)]


def _jsonable(preprocessing: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in preprocessing.items()}
