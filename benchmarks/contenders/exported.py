"""timm's model exported by torch.onnx and run by onnxruntime: no scores, and the honest reference.

The export runs in a process of its own, so that this one never holds PyTorch:

    python -m benchmarks.contenders.exported MODEL SIZE FILE
"""

import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

from benchmarks.contenders import Skipped, Task
from benchmarks.contenders.pictures import channels_first

OPSET = 17


class Exported:
    """The exported model, with the batch fixed before onnxruntime optimises the graph."""

    def __init__(self, task):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = task.threads
        options.add_free_dimension_override_by_name("batch", task.batch)
        self.session = onnxruntime.InferenceSession(
            str(exported_file(task)), options, providers=["CPUExecutionProvider"]
        )
        self.pictures = channels_first(task)
        self.images = task.batch

    def __call__(self):
        return self.session.run(None, {"images": self.pictures})[0], {}


def exported_file(task) -> pathlib.Path:
    """Return the exported model, kept in the temporary folder for the next run."""
    versions = "-".join(importlib.metadata.version(name) for name in ("torch", "timm"))
    folder = pathlib.Path(tempfile.gettempdir()) / f"kerasvit-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{task.model}-{task.size}-{versions}.onnx"
    if not path.exists():
        partial = path.with_suffix(".partial")
        command = [sys.executable, "-m", __name__, task.model, str(task.size), str(partial)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Skipped(f"the export failed: {done.stderr.strip().splitlines()[-1]}")
        partial.replace(path)
    return path


def export(model: str, size: int, path: str) -> None:
    """Export timm's model with an open batch axis."""
    import torch

    from benchmarks.contenders.timm_models import create

    task = Task("onnxruntime", model, batch=2, size=size, threads=os.cpu_count() or 1)
    _allow_without_onnx()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            create(task),
            (torch.from_numpy(channels_first(task)),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            dynamic_axes={"images": {0: "batch"}},
        )


def _allow_without_onnx():
    """Let PyTorch's tracing exporter run where the `onnx` package is missing.

    It needs the package for functions written in onnxscript alone, and these models have none.
    """
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        from torch.onnx._internal.torchscript_exporter import onnx_proto_utils

        onnx_proto_utils._add_onnxscript_fn = lambda model_bytes, custom_opsets: model_bytes


if __name__ == "__main__":
    export(sys.argv[1], int(sys.argv[2]), sys.argv[3])
