"""PyTorch's `.pt2`: a program of `torch.export`, which `torch.export.load` runs without Keras."""

import pathlib
from typing import Any

import numpy as np

from kerasvit.exporting.formats.format import INPUT, Exportable, Format, Runner, as_numpy

METADATA = "kerasvit.json"


def program(computation: Exportable, may_be_half: bool = True):
    """Return a `torch.export.ExportedProgram` of a computation, whose batch is dynamic.

    Its outputs are a dict by name. `may_be_half`: see `Computation.stored_weights`.
    """
    import torch

    weights = computation.stored_weights(may_be_half)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            # By these, not by Keras' layers, which would register each weight several times.
            self.weights = torch.nn.ParameterList(map(_parameter, weights))

        def forward(self, images):
            return computation(images, list(self.weights))

    # A batch of one would become a constant.
    images = torch.from_numpy(computation.sample(2, 0, computation.sizes()[-1]))
    with torch.no_grad():
        return torch.export.export(
            Module().eval(), (images,), dynamic_shapes={INPUT: _open_axes(computation)}
        )


def _open_axes(computation: Exportable) -> dict[int, Any]:
    """Return the axes of the images that stay open; height and width as whole patches."""
    from torch.export import Dim

    axes: dict[int, Any] = {0: Dim("batch")}
    if computation.has_open_size:
        for axis, name, step in zip(
            (1, 2), ("rows", "columns"), computation.size_steps, strict=True
        ):
            axes[axis] = step * Dim(name) if step > 1 else Dim(name)
    return axes


def _parameter(array: np.ndarray):
    import torch

    return torch.nn.Parameter(torch.from_numpy(array), requires_grad=False)


def _write(computation: Exportable, path: pathlib.Path, facts: str) -> None:
    import torch

    # A file object: a path would have to end in .pt2.
    with open(path, "wb") as file:
        torch.export.save(program(computation), file, extra_files={METADATA: facts})


def _load(path: pathlib.Path) -> Runner:
    import torch

    module = torch.export.load(str(path)).module()

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        with torch.no_grad():
            outputs: dict[str, Any] = module(torch.from_numpy(images))
        return as_numpy(outputs)

    return run


FORMAT = Format(
    name="torch",
    title="a PyTorch program",
    backend="torch",
    suffix=".pt2",
    packages=(),
    runtime="torch",
    precisions=("float32", "float16"),
    write=_write,
    load=_load,
)
