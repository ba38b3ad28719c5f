"""What a checkpoint holds as nested mappings: tensors described, all else reduced to its type."""

import argparse
import collections.abc
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasvit.conversion.files.tensors import (
    StoredTensor,
    is_tensor,
    is_torch_module,
    stored_tensor,
)
from kerasvit.errors import InputError
from kerasvit.untrusted.limits import ENTRIES

# A pickle can hold a dictionary that contains itself, so both bounds are needed.
MAX_DEPTH = 16
MAX_ENTRIES = ENTRIES
MAX_LISTED = 1000
MAX_LISTS = 4

Tree = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Other:
    """An entry of a checkpoint that is no tensor.

    Args:
        kind: the name of its type.
        value: what it is, where that is a number, a text, a truth value or a short list of them, or
            the options of an `argparse.Namespace` as a dictionary; None for anything else.
    """

    kind: str
    value: Any = None


def build_tree(
    value: Mapping[Any, Any], describe: Callable[[Any, tuple], StoredTensor] | None = None
) -> Tree:
    """Return nested mappings with each tensor described and every other value reduced to its type.

    Args:
        value: mapping of names to tensors, mappings, `torch.nn.Module`s and other things.
        describe: called with a tensor and the tuple of keys that leads to it. Defaults to
            `stored_tensor`.

    Raises:
        InputError: if two names of one mapping are equal as text, or there are more entries than
            any checkpoint has.
    """
    return _Builder(describe or (lambda tensor, keys: stored_tensor(tensor))).mapping(value, ())


class _Builder:
    def __init__(self, describe: Callable[[Any, tuple], StoredTensor]):
        self._describe = describe
        self._num_entries = 0

    def mapping(self, value: Mapping[Any, Any], keys: tuple) -> Tree:
        tree: Tree = {}
        for key, item in value.items():
            self._num_entries += 1
            if self._num_entries > MAX_ENTRIES:
                raise InputError(
                    "The checkpoint has too many entries, or a mapping that contains itself; a "
                    f"state dict has one a tensor. Received: more than {MAX_ENTRIES} entries. "
                    "Save the state dict alone"
                )
            if str(key) in tree:
                raise InputError(
                    f"Two entries of the checkpoint have the same name; names must differ. "
                    f"Received: {str(key)!r} twice. Save the state dict again with text keys"
                )
            tree[str(key)] = self._entry(item, (*keys, key))
        return tree

    def _entry(self, item: Any, keys: tuple) -> Any:
        if is_torch_module(item):
            return self.mapping(item.state_dict(), keys)
        if is_tensor(item):
            return self._describe(item, keys)
        if isinstance(item, collections.abc.Mapping) and len(keys) < MAX_DEPTH:
            return self.mapping(item, keys)
        return Other(type(item).__name__, self._plain_value(item))

    def _plain_value(self, item: Any, depth: int = 0) -> Any:
        if isinstance(item, bool | int | float | str):
            return item
        # A list may hold one list a thousand times, and that another one.
        if self._num_entries > MAX_ENTRIES or depth > MAX_LISTS:
            return None
        if isinstance(item, list | tuple) and len(item) <= MAX_LISTED:
            self._num_entries += len(item)
            values = [self._plain_value(value, depth + 1) for value in item]
            return None if None in values else values
        if isinstance(item, argparse.Namespace):
            options = {str(n): self._plain_value(value, depth) for n, value in vars(item).items()}
            return {name: value for name, value in options.items() if value is not None}
        return None


def flat_tensors(tree: Tree, prefix: str = "") -> Iterator[tuple[str, StoredTensor]]:
    """Yield every tensor of a tree in order, with its path of names joined by dots."""
    for name, item in tree.items():
        if isinstance(item, StoredTensor):
            yield prefix + name, item
        elif isinstance(item, dict):
            yield from flat_tensors(item, f"{prefix}{name}.")
