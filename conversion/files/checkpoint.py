"""Foreign checkpoints of every kind as one mapping of names to float32 arrays, read lazily."""

import collections.abc
import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.facts.facts import Facts
from kerasvit.conversion.files import folders, sharded, sniffing
from kerasvit.conversion.files import npz as npz_files
from kerasvit.conversion.files import pytorch as torch_files
from kerasvit.conversion.files import safetensors as safetensors_files
from kerasvit.conversion.files.digests import checked_digest, expected_digest
from kerasvit.conversion.files.tensors import StoredTensor, is_torch_module
from kerasvit.conversion.files.trees import Tree, build_tree, flat_tensors
from kerasvit.errors import InputError, KerasViTError, UsageError
from kerasvit.untrusted.limits import check_bytes

_READERS: dict[str, Callable[[pathlib.Path], Tree]] = {
    "torch": torch_files.read_torch,
    "torch-legacy": torch_files.read_torch,
    "safetensors": safetensors_files.read_safetensors,
    "npz": npz_files.read_npz,
}
_ARCHIVES = ("torch", "npz")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Checkpoint(collections.abc.Mapping):
    """A mapping of tensor names to contiguous float32 arrays, each read when it is asked for.

    `checkpoint[name]` reads anew each time and gives an array that the caller owns, so the memory
    needed is one tensor, not the file. It raises `InputError` for a tensor whose type is not
    float16, bfloat16, float32 or float64, that holds NaN or infinity, or whose file changed
    since it was opened. Tensors that are never asked for are never checked.

    Args:
        tree: nested mappings of names to `StoredTensor`, and to `Other` for what is no tensor.
        format: `"torch"`, `"torch-legacy"`, `"safetensors"`, `"npz"`, `"shards"` or `"memory"`.
        path: the file, or None for weights held in memory.
        sha256: hexadecimal digest of the file, or None for weights held in memory.
        notes: what was done to get here, in sentences for the conversion record.
        dropped: names of tensors that were left out on purpose, each with the reason.
        stamp: what tells a changed file from the one that was opened.
        layout: how the file named its tensors, where the names here are others.
        arguments: what that layout implies for the model's arguments.
        facts: what is known of the network that no tensor says, each with its origin: what a
            config beside the file, the training's options inside it or the live module say.
    """

    tree: Tree
    format: str
    path: pathlib.Path | None = None
    sha256: str | None = None
    notes: tuple[str, ...] = ()
    dropped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    stamp: tuple[int, ...] | None = None
    layout: str | None = None
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facts: Facts = dataclasses.field(default_factory=Facts)

    @functools.cached_property
    def tensors(self) -> dict[str, StoredTensor]:
        """The unread tensors by name; the names of nested mappings are joined by dots."""
        tensors: dict[str, StoredTensor] = {}
        for name, tensor in flat_tensors(self.tree):
            if name in tensors:
                raise InputError(
                    f"Two tensors of {self.label} have the same name; names must differ. "
                    f"Received: {name!r} twice. Save the state dict alone"
                )
            tensors[name] = tensor
        return tensors

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors' names in the order of the file."""
        return tuple(self.tensors)

    @property
    def label(self) -> str:
        """What an error calls this checkpoint: its path, quoted, or where else it is."""
        return repr(str(self.path)) if self.path else "the weights in memory"

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        return self.tensors[name].shape

    def dtype(self, name: str) -> str:
        """Return the name of a tensor's stored type, such as `"bfloat16"`, without reading it."""
        return self.tensors[name].dtype

    def __getitem__(self, name: str) -> np.ndarray:
        tensor = self.tensors[name]
        try:
            if self.path and _file_stamp(self.path) != self.stamp:
                raise InputError(
                    "the file changed after it was opened; it must stay as it was. "
                    f"Received: {name!r} asked for later. Open it again"
                )
            return tensor.load(name)
        except KerasViTError as error:
            raise type(error)(f"{self.label}: {error}") from error
        except Exception as error:
            raise InputError(
                f"Tensor {name!r} of {self.label} can't be read; the file must stay as it was. "
                f"Received: {type(error).__name__}: {error}. Get the file again"
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __repr__(self) -> str:
        return f"<Checkpoint {self.label}, {self.format}, {len(self)} tensors>"


def open_checkpoint(
    source: Any, *, sha256: str | None = None, sha256_prefix: str | None = None
) -> Checkpoint:
    """Open a checkpoint of any accepted kind; nothing of it is run and no tensor is read yet.

    Args:
        source: path of a file of `torch.save`, a safetensors file or an `.npz` (told apart by
            their bytes, not their suffix); or of the index of a sharded one, `*.index.json`; or
            of a folder that holds one of these under Hugging Face's name for it; or a
            `torch.nn.Module`; or a mapping of names to arrays or tensors, which may be nested.
        sha256: the published digest of the file, 64 hexadecimal digits in either case.
        sha256_prefix: the first 8 or more digits of it, as in torch.hub's file names.

    Returns:
        the checkpoint as it is stored; `unwrapping.unwrap` finds the weights in it.

    Raises:
        InputError: if the file is missing, damaged, unsafe, of another kind or other content
            than the digest says, or holds no tensor.
        UsageError: if an argument is malformed, or reading needs a package that is not there.
    """
    expected = expected_digest(sha256, sha256_prefix)
    if isinstance(source, str | os.PathLike):
        path = folders.file_in(pathlib.Path(source))
        return (_open_shards if sharded.is_index(path) else _open_file)(path, expected)
    if expected is not None:
        raise UsageError(
            "A sha256 belongs to a file; weights in memory have none. "
            f"Received: source of type {type(source).__name__}. Pass the file's path"
        )
    if isinstance(source, Checkpoint):
        return source
    return _open_memory(source)


def _open_memory(source: Any) -> Checkpoint:
    if is_torch_module(source):
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise UsageError(
            "A checkpoint is a path, a torch.nn.Module or a mapping of names to arrays. "
            f"Received: {type(source).__name__}. Pass one of them"
        )
    return _check_content(Checkpoint(build_tree(source), "memory"))


def _open_shards(path: pathlib.Path, expected: str | None) -> Checkpoint:
    stamp = _file_stamp(path)
    digest = checked_digest(path, expected)
    digests: list[str] = []

    def open_shard(file: pathlib.Path) -> Checkpoint:
        shard = _open_file(file, None)
        digests.append(f"{file.name!r} {shard.sha256}")
        return shard

    tree = sharded.read_sharded(path, open_shard)
    notes = (f"Read {len(digests)} shards, with their sha256: {', '.join(digests)}.",)
    return _check_content(Checkpoint(tree, "shards", path, digest, notes, stamp=stamp))


def _open_file(path: pathlib.Path, expected: str | None) -> Checkpoint:
    kind = sniffing.sniff(path)
    stamp = _file_stamp(path)
    digest = checked_digest(path, expected)
    try:
        if kind in _ARCHIVES:
            sniffing.check_archive(path)
        tree = _READERS[kind](path)
    except KerasViTError:
        raise
    except Exception as error:
        raise InputError(_explain(path, kind, error)) from error
    notes = () if expected or kind in _ARCHIVES else (_unverified(kind),)
    checkpoint = _check_content(Checkpoint(tree, kind, path, digest, notes, stamp=stamp))
    _check_sizes(checkpoint, path)
    return checkpoint


def _check_sizes(checkpoint: Checkpoint, path: pathlib.Path) -> None:
    """Refuse tensors that hold more than the file does: a stride of 0 repeats a value for ever."""
    sizes = {name: 4 * math.prod(tensor.shape) for name, tensor in checkpoint.tensors.items()}
    largest = max(sizes, key=sizes.__getitem__)
    check_bytes(checkpoint.label, sum(sizes.values()), path.stat().st_size, name=largest)


def _check_content(checkpoint: Checkpoint) -> Checkpoint:
    if not checkpoint.tensors:
        entries = ", ".join(map(repr, list(checkpoint.tree)[:10])) or "an empty mapping"
        raise InputError(
            f"There is no tensor in {checkpoint.label}; expected a state dict. "
            f"Received: {entries}. Save model.state_dict()"
        )
    return checkpoint


def _explain(path: pathlib.Path, kind: str, error: Exception) -> str:
    if kind.startswith("torch"):
        return torch_files.explain(path, error)
    reason = " ".join(str(error).split())[:200]
    return (
        f"{str(path)!r} is a damaged or truncated {kind} file; it must be whole. "
        f"Received: {type(error).__name__}: {reason}. Get the file again"
    )


def _unverified(kind: str) -> str:
    return f"Unverified: no sha256 was given, and a {kind} file has no checksum of its own."


def _file_stamp(path: pathlib.Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
