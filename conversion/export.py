"""The way back: a model's weights under the names that PyTorch's models of it have."""

import importlib.metadata
import os
import pathlib
from collections.abc import Callable
from typing import Any

from kerasvit.conversion.files.pytorch import write_torch
from kerasvit.conversion.files.safetensors import write_safetensors
from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.huggingface_folder import write_folder
from kerasvit.conversion.names.export.fitting import network_of
from kerasvit.conversion.names.export.layout import ExportLayout
from kerasvit.conversion.names.export.layouts import export_layout
from kerasvit.conversion.names.export.tensors import tensors_in
from kerasvit.errors import UsageError
from kerasvit.files import atomic_path, check_outputs
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel

_WRITERS: dict[str, Callable[..., None]] = {
    ".safetensors": write_safetensors,
    ".pth": write_torch,
    ".pt": write_torch,
    ".bin": write_torch,
}


def export_weights(
    model: ScoreModel,
    path: str | os.PathLike,
    layout: str = "timm",
    overwrite: bool = False,
) -> pathlib.Path:
    """Write a model's weights to a file that PyTorch's model of it loads with `strict=True`.

    Converted again, the file gives the same weights bit for bit. All are written as float32, one
    tensor in memory at a time.

    Args:
        model: a model of this package.
        path: the file; `.safetensors` needs no torch, `.pth`, `.pt` and `.bin` do. With
            layout="huggingface" a folder, which transformers loads with `from_pretrained`.
        layout: whose names: "timm", "dino", "dinov2", "dinov3", "deit", "deit3", "cait", "xcit" or
            "huggingface".
        overwrite: whether an existing file is replaced.

    Returns:
        The path.

    Raises:
        InputError: if the model has weights that no layout names, as those of LoRA or int8.
        OutputError: if the file can't be written, or exists and `overwrite` is False.
        UsageError: if the layout is unknown or has no names for such a model, the suffix is
            another one, or torch is missing.
    """
    path = pathlib.Path(path)
    if layout == "huggingface":
        write_folder(model, path, overwrite)
        return path
    writer = check_export(path, overwrite)
    tensors = tensors_of(model, layout)
    metadata = {
        "format": "pt",
        "model": factory.canonical_name(model.name),
        "layout": layout,
        "written_by": f"kerasvit {importlib.metadata.version('kerasvit')}",
    }
    with atomic_path(path, overwrite) as temporary:
        writer(temporary, tensors, metadata)
    return path


def check_export(
    path: pathlib.Path, overwrite: bool = False, source: Any = None
) -> Callable[..., None]:
    """Return what writes files of a suffix, before any long work is done for one.

    Args:
        path: the file to write.
        overwrite: whether an existing file may be replaced.
        source: the file that the model comes from, if any.

    Raises:
        OutputError: if it cannot be written, or is the source.
        UsageError: if there is no such kind of file.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(
            f"The file must end in {', '.join(_WRITERS)}. Received: {str(path)!r}. Name it "
            f"{str(path.with_suffix('.safetensors'))!r}"
        )
    check_outputs([path], overwrite=overwrite, inputs=[source])
    return _WRITERS[path.suffix]


def export_notes(model: ScoreModel, layout: str = "timm") -> tuple[str, ...]:
    """Return what the user of an exported file must know, in sentences.

    Args:
        model: a model of this package.
        layout: see `export_weights`.

    Raises:
        UsageError: if the layout is unknown or has no names for such a model.
    """
    return _layout(model, layout).notes


def _layout(model: ScoreModel, name: str) -> ExportLayout:
    if name == "huggingface":
        return network_of(model).layout(model)
    return export_layout(model, name)


def tensors_of(model: ScoreModel, layout: str = "timm") -> dict[str, StoredTensor]:
    """Return a model's weights under a layout's names, each made when it is read.

    Args:
        model: a model of this package.
        layout: see `export_weights`.

    Raises:
        InputError: if the model has weights that no layout names.
        UsageError: if the layout is unknown or has no names for such a model.
    """
    return tensors_in(model, _layout(model, layout), layout)
