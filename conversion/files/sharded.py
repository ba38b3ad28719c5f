"""Checkpoints in several files: an index in JSON names the file, the shard, of each tensor."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.files.trees import Tree
from kerasvit.errors import InputError
from kerasvit.untrusted.limits import check_entries
from kerasvit.untrusted.texts import read_json

INDEX_SUFFIX = ".index.json"
# What Hugging Face's libraries write into a model's folder or repository, the best first.
USUAL_FILES = (
    "model.safetensors",
    f"model.safetensors{INDEX_SUFFIX}",
    "pytorch_model.bin",
    f"pytorch_model.bin{INDEX_SUFFIX}",
)
# An index holds a line for each tensor.
_MAX_BYTES = 100 * 2**20
# Each is a download.
_MAX_SHARDS = 1000


class Shard(Protocol):
    """What is needed of an open file: a `Checkpoint` has it."""

    tensors: Mapping[str, StoredTensor]

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a tensor as a float32 array."""


def is_index(path: pathlib.Path) -> bool:
    """Tell an index by its name, `*.index.json`."""
    return path.name.endswith(INDEX_SUFFIX) and os.path.isfile(path)


def read_sharded(path: pathlib.Path, open_shard: Callable[[pathlib.Path], Shard]) -> Tree:
    """Return the tensors of all shards, each read from its shard when it is loaded.

    Args:
        path: the index; the shards lie beside it.
        open_shard: opens one file.

    Raises:
        InputError: if the index is malformed, a shard is missing, or a shard does not hold the
            tensors that the index says, all of them and no others.
    """
    names_of = read_index(path)
    _check_present(path, names_of)
    tree: Tree = {}
    for file, names in names_of.items():
        shard = open_shard(path.parent / file)
        _check_names(path, file, names, shard.tensors)
        for name in names:
            read = functools.partial(shard.__getitem__, name)
            tree[name] = dataclasses.replace(shard.tensors[name], read=read, read_row=None)
    return tree


def read_index(path: pathlib.Path) -> dict[str, list[str]]:
    """Return the names of each shard's tensors, by the shard's file name, in the index' order.

    Args:
        path: the index; its shards are files beside it.

    Raises:
        InputError: if it is no such index, or a shard's name is a path.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        weight_map = read_json(path.read_bytes(), _MAX_BYTES)["weight_map"]
        check_entries(repr(str(path)), len(weight_map))
        check_entries(repr(str(path)), len(set(weight_map.values())), _MAX_SHARDS)
        names_of: dict[str, list[str]] = {}
        for name, file in weight_map.items():
            # A path would let an index reach files that are none of the model's.
            if file in ("", ".", "..") or pathlib.PurePath(file.replace("\\", "/")).name != file:
                raise ValueError(f"the shard {file!r} is no plain file name")
            names_of.setdefault(file, []).append(name)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{str(path)!r} is no index of a sharded checkpoint: it must map each tensor's name to "
            f"a file under 'weight_map'. Received: {type(error).__name__}: {str(error)[:200]}. "
            "Get the index again"
        ) from error
    return names_of


def _check_present(path: pathlib.Path, names_of: Mapping[str, list[str]]) -> None:
    missing = [file for file in names_of if not os.path.isfile(path.parent / file)]
    if missing:
        shown = ", ".join(map(repr, missing[:10]))
        raise InputError(
            f"{str(path)!r} needs {len(names_of)} shards beside it. Received: {len(missing)} of "
            f"them missing, {shown}{', ...' if len(missing) > 10 else ''}. Get them as well"
        )


def _check_names(path: pathlib.Path, file: str, names: list[str], held: Mapping) -> None:
    missing = [name for name in names if name not in held]
    extra = [name for name in held if name not in set(names)]
    if missing or extra:
        raise InputError(
            f"The shard {file!r} must hold the tensors that {str(path)!r} names, all of them and "
            f"no others. Received: {len(missing)} missing {missing[:3]}, {len(extra)} more "
            f"{extra[:3]}. Get the index and its shards from one place"
        )
