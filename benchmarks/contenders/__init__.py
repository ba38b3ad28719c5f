"""Who runs against whom: every contender by its name, and how it is made in its own process.

A contender is a callable. Each call takes the same pictures from NumPy, computes, and returns
`(outputs, scores)` as NumPy arrays: nothing is left uncomputed on a device, or lazily. `images` is
how many pictures a call works off.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any


class Skipped(Exception):
    """The contender cannot run here; the message says why."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What is measured: contender, model, pictures a call, their side in pixels, threads.

    `reuse_memory` is whether its process keeps freed memory: see `kerasvit.memory`.
    """

    contender: str
    model: str
    batch: int
    size: int
    threads: int
    reuse_memory: bool = False


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where a contender's class is, its arguments, and the Keras backend that it runs on."""

    module: str
    maker: str
    arguments: dict
    backend: str | None = None


MODES = ("full", "cls", "none")
_BACKENDS = {"jax": "jax", "tf": "tensorflow", "tf-xla": "tensorflow", "torch": "torch"}


def _inference() -> dict[str, Entry]:
    entries = {
        "timm-fused": Entry("timm_models", "Fused", {}),
        # The same once more: how far its ratio is from 1 is what this run cannot resolve.
        "timm-fused-again": Entry("timm_models", "Fused", {}),
        "timm-hooks": Entry("timm_models", "Hooked", {}),
        "timm-compile": Entry("timm_models", "Compiled", {}),
        "onnxruntime": Entry("exported", "Exported", {}),
    }
    for name, backend in _BACKENDS.items():
        engine = {"engine": name}
        entries[f"keras-hub-{name}"] = Entry("keras_models", "KerasHub", engine, backend)
    for name, backend in _BACKENDS.items():
        for mode in MODES:
            arguments = {"engine": name, "mode": mode}
            entries[f"kerasvit-{name}-{mode}"] = Entry(
                "keras_models", "KerasViT", arguments, backend
            )
    return entries


def _training() -> dict[str, Entry]:
    entries = {"train-timm": Entry("training", "Loop", {})}
    for name, backend in _BACKENDS.items():
        for mode in ("full", "none", "kept"):
            arguments = {"engine": name, "mode": mode}
            entries[f"train-kerasvit-{name}-{mode}"] = Entry("training", "Fit", arguments, backend)
    return entries


INFERENCE = _inference()
TRAINING = _training()
PRODUCTS = {
    f"product-{library}": Entry("products", "Product", {"library": library})
    for library in ("jax", "tensorflow", "torch", "numpy")
}
ENTRIES = {**INFERENCE, **TRAINING, **PRODUCTS}


def make(task: Task) -> Callable[[], Any]:
    """Make a contender in this process.

    Raises:
        Skipped: if what it needs is not installed, or it cannot do the task.
    """
    entry = ENTRIES[task.contender]
    try:
        module = importlib.import_module(f"{__name__}.{entry.module}")
        return getattr(module, entry.maker)(task, **entry.arguments)
    except ModuleNotFoundError as error:
        raise Skipped(f"{error.name} is not installed") from error
