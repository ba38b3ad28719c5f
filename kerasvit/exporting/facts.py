"""What a file and its sidecar say of a model: input, outputs, tokens, preprocessing, licence."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from kerasvit.digests import file_sha256
from kerasvit.exporting.computation import Computation
from kerasvit.exporting.formats.format import INPUT, Format, installed_version

_RECORDED = ("release", "source", "licence", "preprocessing", "class_names")


def describe(computation: Computation, target: Format) -> dict[str, Any]:
    """Return the facts that go into a file, as values of JSON.

    Args:
        computation: what the file computes.
        target: the format.
    """
    request, model = computation.request, computation.view
    return {
        "kerasvit": installed_version("kerasvit"),
        "model": model.name,
        **{name: model.record.get(name) for name in _RECORDED},
        "classes": model.num_classes,
        "problem_type": model.problem_type if model.num_classes else None,
        "format": target.name,
        "precision": request.precision,
        "input": {
            "name": INPUT,
            "shape": computation.shapes[INPUT],
            "dtype": computation.dtype,
            "values": _values(request.preprocess, model.record),
        },
        "outputs": {name: computation.shapes[name] for name in computation.outputs},
        "tokens": {stage: _tokens(computation, stage) for stage in stages(model)},
        **({"channels": ["xca"]} if model.attends_to_channels else {}),
    }


def stages(model) -> list[str]:
    """Return the stages of attention that a model has: "sa", and "ca" where there is one."""
    return ["sa", "ca"] if model.class_blocks else ["sa"]


def _values(preprocess: bool, record: Mapping[str, Any]) -> str:
    if preprocess:
        return "RGB, 0 to 255, resized and cropped as preprocessing says"
    known = " as preprocessing says" if record.get("preprocessing") else " as in training"
    return f"RGB, resized, cropped and normalised{known}: (pixel / 255 - mean) / std"


def _tokens(computation: Computation, stage: str) -> dict[str, Any]:
    layout = computation.view.token_layout(computation.image_shape, stage)
    return {
        "prefix": list(layout.prefix),
        "grid": ["rows", "columns"] if computation.has_open_size else list(layout.grid),
        "patch_size": list(layout.patch_size),
        "learned_query": layout.has_learned_query,
    }


def to_json(facts: Mapping[str, Any]) -> str:
    """Return facts as the text that a file holds."""
    return json.dumps(facts, ensure_ascii=False)


def sidecar(
    facts: Mapping[str, Any], files: Iterable[pathlib.Path], check: Mapping[str, Any]
) -> str:
    """Return the text of `OUT.json`: the facts, what each file is, and what was compared.

    Args:
        facts: see `describe`.
        files: that the export consists of; a folder stands for all inside.
        check: see `kerasvit.exporting.checking`.
    """
    content = {**facts, "files": _digests(files), "check": dict(check)}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _digests(files: Iterable[pathlib.Path]) -> dict[str, Any]:
    digests = {}
    for path in files:
        members = sorted(path.rglob("*")) if path.is_dir() else [path]
        for member in members:
            if member.is_file():
                name = member.relative_to(path.parent).as_posix()
                digests[name] = {"bytes": member.stat().st_size, "sha256": file_sha256(member)}
    return digests
