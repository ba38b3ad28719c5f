"""A page that runs a model in the browser, and draws where it looks."""

import json
import pathlib

from kerasvit.exporting.formats.format import Exportable, Format, Runner
from kerasvit.exporting.formats.onnx import runner, write_graph
from kerasvit.exporting.formats.web.page import model_of, write_page
from kerasvit.exporting.formats.web.runtime import find_runtime


def _write(computation: Exportable, path: pathlib.Path, facts: str) -> None:
    # Before the long work, so that a missing package is told at once.
    runtime = find_runtime(computation.runtime)
    graph = path.with_name("model.onnx")
    write_graph(computation, graph, facts)
    write_page(graph, path, json.loads(facts), runtime)
    graph.unlink()


def _load(path: pathlib.Path) -> Runner:
    return runner(model_of(path))


FORMAT = Format(
    name="web",
    title="a page for the browser",
    backend="torch",
    suffix="",
    packages=("onnx", "onnxscript"),
    runtime="onnxruntime",
    precisions=("float32", "float16"),
    write=_write,
    load=_load,
    file_suffix=".html",
    may_have_open_size=False,
)
