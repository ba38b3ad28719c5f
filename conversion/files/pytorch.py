"""Files of `torch.save`, read without running what they contain."""

import argparse
import functools
import operator
import pathlib
import pickle
import re
import types
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.files.harmless import StoredArray, is_harmless, stand_ins
from kerasvit.conversion.files.pickle_scan import check_cost, top_class, unusual_globals
from kerasvit.conversion.files.tensors import (
    StoredTensor,
    is_tensor,
    is_torch_module,
    stored_tensor,
    torch_dtype,
    torch_to_numpy,
)
from kerasvit.conversion.files.trees import Tree, build_tree
from kerasvit.errors import InputError, UsageError
from kerasvit.untrusted.archives import read_member
from kerasvit.untrusted.limits import allowed_bytes

# Releases before it run code (CVE-2025-32434) or corrupt memory (CVE-2026-24747) on a crafted
# file in spite of weights_only=True.
_SAFE_SINCE = (2, 10)
# Mapping a file anew takes milliseconds; at most so many times.
_REMAP_AFTER = 16 * 2**20
_MAX_REMAPS = 64
_SCANNED = 64 * 2**20


def read_torch(path: pathlib.Path) -> Tree:
    """Return what a file of `torch.save` holds; nested mappings stay nested.

    Only tensors, plain containers, `argparse.Namespace` (which DINO's and timm's training
    checkpoints carry) and what `harmless` has a stand-in for are accepted, and there is no second,
    unsafe try. Tensors of the zip format (since torch 1.6) are read from the file one at a time.

    Raises:
        UsageError: if torch is missing or too old to be safe.
        InputError: if the file holds a list, a tensor or anything else than a mapping on top, or
            asks for more memory than its size explains.
        Exception: whatever torch raises for a file that it can't or won't read; `explain` says why.
    """
    torch = _import_torch()
    data = _pickle_bytes(path)
    try:
        check_cost(data, allowed_bytes(path.stat().st_size))
    except ValueError as error:
        raise InputError(
            f"{str(path)!r} asks for more than a state dict needs. Received: {error}. Save the "
            "state dict alone"
        ) from error
    allowed = [argparse.Namespace, *stand_ins(unusual_globals(data))]
    if not _is_mappable(path):
        return build_tree(_check_mapping(path, _load(torch, path, allowed, mmap=False)))
    mapped = _MappedFile(torch, path, allowed)
    return build_tree(mapped.content, mapped.describe)


def explain(path: pathlib.Path, error: Exception) -> str:
    """Return one line on why torch did not read a file, from its bytes and torch's error."""
    data = _pickle_bytes(path)
    whole = top_class(data)
    names = [name for name in unusual_globals(data) if not is_harmless(name)]
    if isinstance(error, pickle.UnpicklingError) and whole:
        return (
            f"{str(path)!r} holds a whole object, which only its own code can read: expected a "
            f"state dict, found {whole}. Where you trust it, load it and save "
            "model.state_dict()"
        )
    if isinstance(error, pickle.UnpicklingError) and names:
        return (
            f"{str(path)!r} was refused: a checkpoint may hold tensors, plain containers, paths, "
            "dates and arrays, because anything else can run code when it is read. Received: "
            f"{', '.join(names)}. Where you trust it, load it and save the state dict alone"
        )
    return (
        f"{str(path)!r} can't be read by torch.load; it must be a whole file of torch.save. "
        f"Received: {_summary(error)}. The file is damaged or unsafe: get it again"
    )


def write_torch(
    path: pathlib.Path, tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors as a state dict of float32 with `torch.save`; metadata has no place in it.

    Raises:
        InputError: if a value is not finite.
        OSError: if the file can't be written.
        UsageError: if torch is missing or too old.
    """
    torch = _import_torch()
    state = {name: torch.from_numpy(tensor.load(name)) for name, tensor in tensors.items()}
    with path.open("wb") as file:
        torch.save(state, file)


class _MappedFile:
    """A zip checkpoint whose tensors lie in the file, mapped into memory.

    Pages that were read stay in the process as long as the mapping does, so the file is mapped
    anew from time to time: memory then does not grow to the size of the file.
    """

    def __init__(self, torch: types.ModuleType, path: pathlib.Path, allowed: list[Any]):
        self._load = functools.partial(_load, torch, path, allowed, mmap=True)
        self.content: Any = _check_mapping(path, self._load())
        self._num_bytes_read = 0
        self._limit = max(_REMAP_AFTER, path.stat().st_size // _MAX_REMAPS)

    def describe(self, tensor: Any, keys: tuple) -> StoredTensor:
        if isinstance(tensor, StoredArray):
            return stored_tensor(tensor)
        read = functools.partial(self._read, keys)
        return StoredTensor(tuple(tensor.shape), torch_dtype(tensor), read)

    def _read(self, keys: tuple) -> Any:
        if self._num_bytes_read > self._limit:
            self.content = self._load()
            self._num_bytes_read = 0
        tensor = functools.reduce(operator.getitem, keys, self.content)
        self._num_bytes_read += tensor.untyped_storage().nbytes()
        return torch_to_numpy(tensor)


def _load(torch: types.ModuleType, path: pathlib.Path, allowed: list[Any], *, mmap: bool) -> Any:
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
    with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if mmap:
            return torch.load(path, mmap=True, **options)
        with path.open("rb") as file:  # by path, torch would go by a .safetensors suffix
            return torch.load(file, **options)


def _import_torch() -> types.ModuleType:
    try:
        import torch
    except ImportError as error:
        raise UsageError(
            f"Reading a .pth or .pt file needs PyTorch, which can't be imported: {error}. "
            'Install it with: pip install "kerasvit[convert]", or pass a .safetensors file'
        ) from error
    version = re.match(r"(\d+)\.(\d+)", torch.__version__)
    if version is None or tuple(map(int, version.groups())) < _SAFE_SINCE:
        raise UsageError(
            "Reading a .pth or .pt file needs PyTorch 2.10 or later: older releases can run code "
            f"that a crafted file contains. Received: torch {torch.__version__}. Upgrade with: "
            'pip install --upgrade "kerasvit[convert]", or pass a .safetensors file'
        )
    return torch


def _is_zip(path: pathlib.Path) -> bool:
    with path.open("rb") as file:  # as torch tells them apart; zipfile looks at the end instead
        return file.read(4) == b"PK\x03\x04"


def _is_mappable(path: pathlib.Path) -> bool:
    if path.suffix == ".safetensors" or not _is_zip(path):
        return False
    with zipfile.ZipFile(path) as archive:  # torch maps compressed members as if they were values
        return all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def _check_mapping(path: pathlib.Path, content: Any) -> Mapping:
    if isinstance(content, Mapping) and not is_torch_module(content):
        return content
    kind = type(content).__name__
    if is_tensor(content):
        kind = f"one tensor of shape {tuple(content.shape)}"
    raise InputError(
        f"{str(path)!r} does not hold a model's weights: expected a state dict, found {kind}. "
        "Save model.state_dict()"
    )


def _pickle_bytes(path: pathlib.Path) -> bytes:
    if not _is_zip(path):
        with path.open("rb") as file:
            return file.read(_SCANNED)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.split("/", 1)[-1] == "data.pkl")
        return read_member(archive, name, _SCANNED)


def _summary(error: Exception) -> str:
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    inner = re.search(r"WeightsUnpickler error:\s*(.+)", text)
    lines = (inner.group(1) if inner else text).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no message'}"
