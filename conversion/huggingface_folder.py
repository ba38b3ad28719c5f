"""A model as a folder that Hugging Face's transformers loads: config, weights, image processor."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from kerasvit.conversion.files.safetensors import write_safetensors
from kerasvit.conversion.names.export.config import config_of, processor_of
from kerasvit.conversion.names.export.fitting import network_of
from kerasvit.conversion.names.export.tensors import tensors_in
from kerasvit.errors import OutputError
from kerasvit.models.base import ScoreModel
from kerasvit.temporary import exchange, remove_stale, temporary_name

_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


def write_folder(model: ScoreModel, folder: pathlib.Path, overwrite: bool = False) -> None:
    """Write a model's folder: all of it, or nothing.

    Args:
        model: a ViT, DeiT or DINOv2.
        folder: the folder to make.
        overwrite: whether a folder that this function wrote before is replaced.

    Raises:
        OutputError: if it can't be written, or exists and may not be replaced.
        UsageError: if transformers has no such model.
    """
    network = network_of(model)
    tensors = tensors_in(model, network.layout(model), "huggingface")
    with _new_folder(folder, overwrite) as new:
        _write_json(new / "config.json", config_of(model, network))
        preprocessing = model.record.get("preprocessing")
        processor = processor_of(preprocessing) if preprocessing else None
        if processor is not None:
            _write_json(new / "preprocessor_config.json", processor)
        write_safetensors(new / "model.safetensors", tensors, {"format": "pt"})


def check_folder(folder: pathlib.Path, overwrite: bool = False) -> None:
    """Raise `OutputError` now, and not after long work, if a folder can't be written."""
    with contextlib.suppress(_Checked), _new_folder(folder, overwrite):
        raise _Checked


class _Checked(Exception):
    """Ends the trial of `check_folder` before it replaces anything."""


def _write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _new_folder(folder: pathlib.Path, overwrite: bool) -> Iterator[pathlib.Path]:
    """Lend a hidden folder beside `folder` that takes its place if the block succeeds."""
    _check_place(folder, overwrite)
    place = pathlib.Path(os.path.realpath(folder))
    new = place.parent / temporary_name()
    try:
        remove_stale(place.parent)
        new.mkdir()
        yield new
        _synchronise(new)
        _take_place(new, place)
    except OSError as error:
        raise OutputError(
            f"{str(folder)!r} can't be written; its folder must exist and be writable. Received: "
            f"{error.strerror or error}. Choose another output (-o)"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _check_place(folder: pathlib.Path, overwrite: bool) -> None:
    if not os.path.lexists(folder):
        return
    if not os.path.isdir(folder):
        raise OutputError(
            f"{str(folder)!r} must be a folder, new or written before. Received: a file of that "
            "name. Choose another output (-o)"
        )
    others = sorted(path.name for path in folder.iterdir() if path.name not in _FILES)
    if others:
        raise OutputError(
            f"{str(folder)!r} holds other files, which would be lost. Received: "
            f"{', '.join(others[:3])}. Choose another output (-o)"
        )
    if not overwrite and any(folder.iterdir()):
        raise OutputError(
            f"{str(folder)!r} exists. Received: overwrite=False. Pass overwrite=True or "
            "--overwrite, or choose another output (-o)"
        )


def _synchronise(folder: pathlib.Path) -> None:
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _take_place(new: pathlib.Path, place: pathlib.Path) -> None:
    if not os.path.exists(place):
        os.rename(new, place)
        return
    if exchange(new, place):
        return
    # A folder with files can't be renamed over: the old one goes aside first, and comes back if
    # the new one can't take its place.
    old = place.parent / temporary_name()
    os.rename(place, old)
    try:
        os.rename(new, place)
    except OSError:
        os.rename(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)
