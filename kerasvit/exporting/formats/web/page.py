"""`--format web`: a folder to serve, or one HTML file, in which a model runs on a dropped picture.

The model is exported to ONNX, with uint8 pictures as input, and checked in ONNX Runtime; the page
runs the same file in ONNX Runtime Web.
"""

import base64
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.exporting.formats.web.runtime import FILES, find_runtime

_HERE = pathlib.Path(__file__).parent
MODEL = "model.onnx"
_POLICY = "default-src 'none'; img-src blob: data:; style-src 'unsafe-inline'; "
_POLICIES = {
    # 'wasm-unsafe-eval' allows WebAssembly, and no JavaScript from text.
    "folder": _POLICY + "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; connect-src 'self'",
    "file": _POLICY + "script-src 'unsafe-inline' blob: 'wasm-unsafe-eval'",
}


def write_page(
    onnx: pathlib.Path,
    path: pathlib.Path,
    facts: dict[str, Any],
    runtime: str | os.PathLike[str] | None,
) -> None:
    """Write a page around an ONNX file.

    Args:
        onnx: a file that takes uint8 pictures.
        path: the page: an `.html` file that holds everything, or a new folder.
        facts: of the file, see `kerasvit.exporting.facts.describe`.
        runtime: see `find_runtime`.

    Raises:
        UsageError: if ONNX Runtime Web is not found.
    """
    folder = find_runtime(runtime)
    sources = {**{name: folder / file for name, file in FILES.items()}, "model": onnx}
    if path.suffix == ".html":
        contents = {f"content-{name}": source.read_bytes() for name, source in sources.items()}
        path.write_text(_page(facts, "file", contents), encoding="utf-8", newline="\n")
    else:
        path.mkdir()
        for name, source in sources.items():
            shutil.copyfile(source, path / _names()[name])
        page = _page(facts, "folder", {})
        (path / "index.html").write_text(page, encoding="utf-8", newline="\n")


def model_of(path: pathlib.Path) -> bytes:
    """Return the ONNX file that a page holds."""
    if path.is_dir():
        return (path / MODEL).read_bytes()
    page = path.read_text(encoding="utf-8")
    start = page.index('id="content-model">') + len('id="content-model">')
    return base64.b64decode(page[start : page.index("<", start)])


def _names() -> dict[str, str]:
    return {**FILES, "model": MODEL}


def _page(facts: dict[str, Any], kind: str, contents: Mapping[str, bytes]) -> str:
    from kerasvit.render.pages.document import document, part

    return document(
        part("page.html", _HERE),
        title=f"Where {facts['release'] or facts['model']} looks",
        note="Drop a picture. The model runs in this page; the picture stays on your machine.",
        style=part("page.css", _HERE),
        script=part("page.js", _HERE),
        facts=_page_facts(facts),
        contents=contents,
        policy=_POLICIES[kind],
    )


def _page_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what page.js reads."""
    from kerasvit.render.colour import colourise

    layers = {name: _layer(facts, name) for name in facts["outputs"] if _is_map(name)}
    first_of_class_attention = next((name for name in layers if name.startswith("ca_")), None)
    return {
        "input": facts["input"]["name"],
        "size": facts["input"]["shape"][1:3],
        "crop_fraction": facts["preprocessing"]["crop_fraction"],
        "crop_mode": facts["preprocessing"]["crop_mode"],
        **_outcome(facts),
        "files": _names(),
        "layers": layers,
        "start": first_of_class_attention or list(layers)[-1],
        "colours": colourise(np.linspace(0, 1, 256), "cividis").tolist(),
    }


def _outcome(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the logits mean, see `kerasvit.models.problem.Problem`."""
    # Keras is imported with it, and before it a backend is chosen.
    from kerasvit.models.problem import problem_of

    if not facts["classes"]:
        return {"has_classes": False, "class_names": [], "reading": "classes"}
    problem = problem_of(facts, facts["classes"])
    flags = {
        "values": problem.is_regression,
        "decision": problem.is_binary,
        "labels": problem.has_many_labels,
    }
    reading = next((name for name, is_so in flags.items() if is_so), "classes")
    return {"has_classes": True, "class_names": list(problem.names), "reading": reading}


def _is_map(name: str) -> bool:
    """Tell whether an output is of tokens, and not the logits or XCiT's scores among channels."""
    return name != "logits" and not name.startswith("xca_")


def _layer(facts: dict[str, Any], name: str) -> dict[str, Any]:
    """Return how many heads an output has, where its patches begin, and their grid."""
    tokens = facts["tokens"]["ca" if name.startswith("ca_") else "sa"]
    if name == "saliency":
        return {"heads": 1, "prefix": 0, "grid": tokens["grid"]}
    heads = facts["outputs"][name][1]
    return {"heads": heads, "prefix": len(tokens["prefix"]), "grid": tokens["grid"]}
