"""Where the networks of a file are: found by the names that every network of a family has."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.files.trees import Tree
from kerasvit.conversion.names.foreign.namings import NAMINGS
from kerasvit.conversion.names.unwrapping.tables import rank

# Of timm, DINO, DINOv2, DeiT, CaiT, MAE: the names that need no table.
# XCiT's stem is several convolutions.
_OWN_MARKS = ((r"patch_embed\.proj\.weight",), (r"patch_embed\.proj\.0\.0\.weight",))
_MARKS = (*(naming.marks for naming in NAMINGS if naming.marks), *_OWN_MARKS)


@dataclasses.dataclass(frozen=True)
class Network:
    """One network of a file.

    Args:
        path: the keys of the nested mappings that lead to the one with its tensors.
        prefix: what its names start with there; "" or something that ends in a dot.
    """

    path: tuple[str, ...]
    prefix: str

    @property
    def parts(self) -> tuple[str, ...]:
        """All names that the network is kept under, the outermost first."""
        return (*self.path, *self.prefix.split(".")[:-1])


def networks_in(tree: Tree, path: tuple[str, ...] = ()) -> list[Network]:
    """Return every network of a tree, in the order of the file."""
    tensors = [name for name, item in tree.items() if isinstance(item, StoredTensor)]
    networks = [Network(path, prefix) for prefix in _prefixes(tensors)]
    for name, item in tree.items():
        if isinstance(item, dict):
            networks.extend(networks_in(item, (*path, name)))
    return networks


def mapping_at(tree: Tree, path: tuple[str, ...]) -> dict[str, Any]:
    """Return the mapping that a path of keys leads to."""
    for name in path:
        tree = tree[name]
    return tree


def ranks_of(network: Network, depth: int) -> tuple[int, ...]:
    """Return the rank of each name that a network is kept under, and of none like a plain one."""
    parts = (*network.parts, *("",) * (depth - len(network.parts)))
    return tuple(map(rank, parts))


def below(name: str, prefix: str) -> str:
    """Return a name without what it has in common with a prefix, in whole parts."""
    parts, shared = name.split("."), prefix.split(".")[:-1]
    while shared and len(parts) > 1 and parts[0] == shared[0]:
        del parts[0], shared[0]
    return ".".join(parts)


def _prefixes(names: list[str]) -> Iterator[str]:
    """Yield what stands before the marks of each network, each once."""
    claimed: set[str] = set()
    given: set[str] = set()
    for first, *others in _MARKS:
        pattern = re.compile(rf"(?P<prefix>(?:.+?\.)??)(?:{first})")
        for name in names:
            match = pattern.fullmatch(name)
            if match is None or name in claimed:
                continue
            prefix = match["prefix"]
            if all(_has(names, prefix, mark) for mark in others):
                claimed.add(name)
                if prefix not in given:
                    given.add(prefix)
                    yield prefix


def _has(names: list[str], prefix: str, mark: str) -> bool:
    pattern = re.compile(re.escape(prefix) + f"(?:{mark})")
    return any(pattern.fullmatch(name) for name in names)
