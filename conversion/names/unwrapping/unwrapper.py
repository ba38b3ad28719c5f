"""Finding one network's weights among all that a training script saves."""

import dataclasses
import fnmatch
from collections.abc import Iterable
from typing import Any

from kerasvit.conversion.files.checkpoint import Checkpoint, open_checkpoint
from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.files.trees import Tree, flat_tensors
from kerasvit.conversion.names.foreign.naming import Dropped
from kerasvit.conversion.names.foreign.namings import NAMINGS
from kerasvit.conversion.names.unwrapping import tables
from kerasvit.conversion.names.unwrapping.classifiers import head_names
from kerasvit.conversion.names.unwrapping.networks import (
    Network,
    below,
    mapping_at,
    networks_in,
    ranks_of,
)
from kerasvit.conversion.names.unwrapping.said import facts_said_in
from kerasvit.errors import InputError, UsageError

Tensors = dict[str, StoredTensor]


def unwrap(source: Any, select: str | None = None) -> Checkpoint:
    """Return the one network in a checkpoint, its names free of wrappers and prefixes.

    - A network is found by the names that all of its family have, below whatever wrappers and
      prefixes: `model_state_dict`, `module.`, `backbone.`, `_orig_mod.` or anything else. Of
      several the averaged one is taken, then the teacher of DINO and DINOv2, then the plain one.
    - A linear head beside it, `classifier`, `fc`, `head.1`, becomes `head`.
    - What training keeps beside it is dropped, each name for a stated reason; what no table knows
      stays, so that it is refused later.
    - The chunks of DINOv2's training are taken away: `blocks.0.3.` becomes `blocks.3.`.

    Args:
        source: a `Checkpoint`, or anything that `open_checkpoint` takes.
        select: a name that the wanted network is kept under, such as "student" of a DINO checkpoint
            or "target_encoder" of an I-JEPA one.

    Returns:
        a flat checkpoint that reads from the same source. Its `notes` say what was done, its
        `dropped` names each tensor that was left out, with the reason.

    Raises:
        InputError: if the weights can't be told from the rest, or a name would appear twice.
        UsageError: if the checkpoint holds no such network, or several of which none comes first.
    """
    return _Unwrapper(open_checkpoint(source), select).run()


class _Unwrapper:
    """One run of `unwrap`, which gathers the notes."""

    def __init__(self, checkpoint: Checkpoint, select: str | None):
        self._checkpoint = checkpoint
        self._select = select
        self._notes = list(checkpoint.notes)
        self._dropped = dict(checkpoint.dropped)

    def run(self) -> Checkpoint:
        networks = networks_in(self._checkpoint.tree)
        network = self._choose(networks) if networks else None
        if network is None:
            tensors = self._without_network()
        else:
            others = [other for other in networks if other != network]
            tensors = self._tensors_of(network, others)
        return dataclasses.replace(
            self._checkpoint,
            tree=tensors,
            notes=tuple(self._notes),
            dropped=self._dropped,
            facts=self._checkpoint.facts | facts_said_in(self._checkpoint.tree),
        )

    def _choose(self, networks: list[Network]) -> Network:
        if self._select is not None:
            networks = [network for network in networks if self._select in network.parts]
        if not networks:
            raise self._no_such_network()
        depth = max(len(network.parts) for network in networks)
        ranks = {network: ranks_of(network, depth) for network in networks}
        first = [network for network in networks if ranks[network] == min(ranks.values())]
        if len(first) > 1:
            listing = ", ".join(repr(".".join(network.parts)) for network in networks)
            raise UsageError(
                f"{self._checkpoint.label} holds {len(networks)} networks; which one counts can't "
                f"be told. Received: {listing}. Pass a name that one of them alone is kept under, "
                "as select=... or --select"
            )
        aside = [part for part in first[0].parts if tables.must_be_asked_for(part)]
        if aside and self._select is None:
            raise UsageError(
                f"{self._checkpoint.label} has no {_counterpart(aside[0])!r}. Received: a "
                f"checkpoint with {aside[0]!r} alone. Pass select={aside[0]!r} to convert that one"
            )
        return first[0]

    def _tensors_of(self, network: Network, others: list[Network]) -> Tensors:
        self._note_path(network.path)
        tensors = self._flat(mapping_at(self._checkpoint.tree, network.path))
        tensors = {**self._sibling_head(network.path), **tensors}
        tensors = self._leave_others(tensors, network, others)
        tensors = self._drop(tensors, tables.STRAYS)
        if "backbone" in network.parts:
            tensors = self._drop(tensors, tables.BESIDE_A_BACKBONE)
        return self._name_head(self._merge_chunks(tensors))

    def _note_path(self, path: Iterable[str]) -> None:
        tree = self._checkpoint.tree
        for name in path:
            others = [repr(other) for other in tree if other != name]
            beside = f", and left aside {', '.join(others)}" if others else ""
            averaged = ", the averaged weights" if tables.is_averaged(name) else ""
            self._notes.append(f"Took {name!r} of the checkpoint{averaged}{beside}.")
            tree = tree[name]

    def _flat(self, tree: Tree) -> Tensors:
        tensors = {name: item for name, item in tree.items() if isinstance(item, StoredTensor)}
        others = [repr(name) for name in tree if name not in tensors]
        if others:
            self._notes.append(f"Left aside what is no tensor: {', '.join(others)}.")
        return tensors

    def _sibling_head(self, path: tuple[str, ...]) -> Tensors:
        """Return the head that was saved as a mapping beside the backbone's."""
        if not path:
            return {}
        siblings = mapping_at(self._checkpoint.tree, path[:-1])
        return {
            f"{name}.{tensor_name}": tensor
            for name, item in siblings.items()
            if name != path[-1] and isinstance(item, dict) and tables.HEAD.fullmatch(name)
            for tensor_name, tensor in flat_tensors(item)
        }

    def _leave_others(self, tensors: Tensors, network: Network, others: list[Network]) -> Tensors:
        """Take the prefix away, and the tensors of the other networks of the same mapping."""
        elsewhere = [other.prefix for other in others if other.path == network.path]
        within = [prefix for prefix in elsewhere if prefix.startswith(network.prefix)]
        rest: Tensors = {}
        left: dict[str, None] = {}
        for name, tensor in tensors.items():
            own = name.startswith(network.prefix) and not name.startswith(tuple(within))
            if not own and any(name.startswith(prefix) for prefix in elsewhere):
                left.setdefault(_first_difference(name, network.prefix))
                continue
            new = below(name, network.prefix)
            if new in rest:
                raise self._twice(network.prefix + new, new, network.prefix)
            rest[new] = tensor
        if network.prefix:
            number = sum(name.startswith(network.prefix) for name in tensors)
            self._notes.append(f"Removed the prefix {network.prefix!r} from {number} names.")
        if left:
            self._notes.append(f"Left aside {', '.join(map(repr, left))}, another network.")
        return rest

    def _drop(self, tensors: Tensors, rows: Iterable[Dropped]) -> Tensors:
        dropped: dict[str, str] = {}
        for row in rows:
            if row.holds(tensors.keys()):
                matching = fnmatch.filter(tensors, row.pattern)
                dropped |= {name: row.reason for name in matching if name not in dropped}
        for reason in dict.fromkeys(dropped.values()):
            number = sum(other == reason for other in dropped.values())
            self._notes.append(f"Dropped {number} tensors: {reason}.")
        self._dropped |= dropped
        return {name: tensor for name, tensor in tensors.items() if name not in dropped}

    def _merge_chunks(self, tensors: Tensors) -> Tensors:
        merged = {tables.CHUNK.sub("blocks.", name, count=1): name for name in tensors}
        if len(merged) < len(tensors):
            twice = next(name for name in tensors if name not in merged.values())
            raise InputError(
                f"{self._checkpoint.label} holds a block twice in its chunks; a number counts one "
                f"block over all chunks. Received: {twice!r} and another. Get the file again"
            )
        if list(merged) != list(tensors):
            self._notes.append("Joined the chunks of blocks that DINOv2's training makes.")
        return {name: tensors[stored] for name, stored in merged.items()}

    def _name_head(self, tensors: Tensors) -> Tensors:
        targets = _targets_by_name(tensors)
        if "head.weight" in targets.values():
            return tensors
        new_names = head_names(tensors, targets)
        moved = {name: new for name, new in new_names.items() if name != new}
        if moved:
            heads = dict.fromkeys(name.rpartition(".")[0] for name in moved)
            self._notes.append(f"Took {', '.join(map(repr, heads))} as the head.")
        return {new_names.get(name, name): tensor for name, tensor in tensors.items()}

    def _without_network(self) -> Tensors:
        """Return the tensors of a file in which no network is known, such as a linear head's."""
        if self._select is not None:
            raise self._no_such_network()
        tensors = self._flat(self._enter(self._checkpoint.tree))
        while prefix := next((p for p in tables.PREFIXES if self._is_on_all(p, tensors)), None):
            self._notes.append(f"Removed the prefix {prefix!r} from {len(tensors)} names.")
            tensors = {name.removeprefix(prefix): item for name, item in tensors.items()}
        return tensors

    def _enter(self, tree: Tree) -> Tree:
        path: list[str] = []
        while groups := [name for name, item in tree.items() if _holds_tensors(item)]:
            known = [name for name in tables.WRAPPERS if name in groups]
            if not known:
                raise InputError(
                    f"No network is known in {self._checkpoint.label}, and its weights are nested "
                    f"under a name that is not one of {', '.join(tables.WRAPPERS)}. Received: "
                    f"{', '.join(groups[:10])}. Pass the state dict itself"
                )
            path.append(known[0])
            tree = tree[known[0]]
        self._note_path(path)
        return tree

    def _is_on_all(self, prefix: str, tensors: Tensors) -> bool:
        having = [name for name in tensors if name.startswith(prefix)]
        twice = [name for name in having if name.removeprefix(prefix) in tensors]
        if twice:
            raise self._twice(twice[0], twice[0].removeprefix(prefix), prefix)
        return len(having) == len(tensors)

    def _twice(self, name: str, other: str, prefix: str) -> InputError:
        return InputError(
            f"{self._checkpoint.label} holds a tensor twice, with and without the prefix "
            f"{prefix!r}; which one counts can't be told. Received: {name!r} and {other!r}. "
            "Pass a state dict with one of them"
        )

    def _no_such_network(self) -> UsageError:
        return UsageError(
            f"{self._checkpoint.label} has no {self._select!r}; only a full checkpoint of the "
            f"training has. Received: select={self._select!r}. Leave select out"
        )


def _targets_by_name(names: Iterable[str]) -> dict[str, str]:
    """Return what becomes of each name that the table of its family has a rule for."""
    names = tuple(names)
    for naming in NAMINGS:
        canonical = naming.canonical(names)
        if canonical is not None:
            return {
                stored: rule.target
                for stored, name in canonical.items()
                for rule in naming.rules_of(name)
            }
    return {}


def _first_difference(name: str, prefix: str) -> str:
    return below(name, prefix).split(".", 1)[0]


def _counterpart(part: str) -> str:
    return "teacher" if "student" in part else "encoder"


def _holds_tensors(item: Any) -> bool:
    return isinstance(item, dict) and any(flat_tensors(item))
