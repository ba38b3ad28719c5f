"""ONNX, which ONNX Runtime, OpenVINO and browsers run; written by PyTorch's exporter."""

import contextlib
import io
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.exporting.formats.format import INPUT, Exportable, Format, Runner
from kerasvit.exporting.formats.torch_program import program

METADATA = "kerasvit"
# The first version with Gelu; ONNX Runtime knows it since 1.17.
_OPSET = 20


def write_graph(
    computation: Exportable, path: pathlib.Path, facts: str, may_be_half: bool = True
) -> None:
    """Write a computation as one ONNX file with named outputs and a dynamic batch.

    `may_be_half`: see `Computation.stored_weights`.
    """
    import onnx

    model = _exported(computation, may_be_half)
    _name_axes(model, computation.shapes)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, facts
    model.producer_name = "kerasvit"
    onnx.save(model, path)


def _exported(computation: Exportable, may_be_half: bool):
    """Return the `onnx.ModelProto`; the exporter's own news is kept off the terminal."""
    import torch

    exported = program(computation, may_be_half)
    names = list(computation.outputs)
    with contextlib.redirect_stdout(io.StringIO()):
        result = torch.onnx.export(
            exported,
            (),
            dynamo=True,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=names,
            verbose=False,
        )
    assert result is not None  # it is where no file is named
    return result.model_proto


def _name_axes(model, shapes: Mapping[str, list[Any]]) -> None:
    """Call the dynamic axes by their names; the exporter numbers its symbols, and computes on."""
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, shapes[value.name], strict=True):
            if isinstance(size, str):
                dim.dim_param = size
    # What lies between has the same symbols; it is a hint that no runtime needs.
    del model.graph.value_info[:]


def _write(computation: Exportable, path: pathlib.Path, facts: str) -> None:
    if computation.precision != "int8":
        write_graph(computation, path, facts)
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    exact = path.with_name("float32.onnx")
    write_graph(computation, exact, facts)
    quantize_dynamic(exact, path, weight_type=QuantType.QInt8, per_channel=True)
    exact.unlink()


def runner(model: str | bytes) -> Runner:
    """Open an ONNX file, or its content, in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, {INPUT: images}), strict=True))

    return run


def _load(path: pathlib.Path) -> Runner:
    return runner(str(path))


FORMAT = Format(
    name="onnx",
    title="ONNX",
    backend="torch",
    suffix=".onnx",
    packages=("onnx", "onnxscript"),
    runtime="onnxruntime",
    precisions=("float32", "float16", "int8"),
    write=_write,
    load=_load,
)
