"""OpenVINO's IR, an `.xml` and the weights in a `.bin` beside it; made from ONNX."""

import pathlib

import numpy as np

from kerasvit.exporting.formats.format import INPUT, Exportable, Format, Runner
from kerasvit.exporting.formats.onnx import write_graph

METADATA = "kerasvit"


def _write(computation: Exportable, path: pathlib.Path, facts: str) -> None:
    import openvino

    graph = path.with_name("graph.onnx")
    write_graph(computation, graph, facts, may_be_half=False)
    model = openvino.convert_model(graph)
    model.set_rt_info(facts, METADATA)
    openvino.save_model(model, path, compress_to_fp16=computation.precision == "float16")
    graph.unlink()


def _load(path: pathlib.Path) -> Runner:
    import openvino

    # Processors that can would compute in bfloat16.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(path, "CPU", exact)
    names = [output.get_any_name() for output in model.outputs]

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = model({INPUT: images})
        return {name: np.array(outputs[name]) for name in names}

    return run


FORMAT = Format(
    name="openvino",
    title="OpenVINO",
    backend="torch",
    suffix=".xml",
    packages=("onnx", "onnxscript", "openvino"),
    runtime="openvino",
    precisions=("float32", "float16"),
    write=_write,
    load=_load,
    companions=(".bin",),
)
