"""Finding one network's weights among all that a training script saves."""

import dataclasses
import re
from typing import Any

from kerasvit.conversion.files.checkpoint import Checkpoint, open_checkpoint
from kerasvit.conversion.files.tensors import StoredTensor, Tree, flat_tensors
from kerasvit.errors import InputError, UsageError

# The averaged weights first: they are what timm and DeiT evaluate and publish.
_AVERAGED = ("state_dict_ema", "model_ema")
_WRAPPERS = (*_AVERAGED, "state_dict", "model", "model_state")
# The network that is taken unless another is asked for comes first: of DINO and DINOv2 the teacher,
# of I-JEPA the encoder, as timm does.
_PAIRS = (("teacher", "student"), ("encoder", "target_encoder"))
NETWORKS = tuple(name for pair in _PAIRS for name in pair)

# DistributedDataParallel, torch.compile, and the usual names of an attribute that holds the model.
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.")

# `head` in DINO's main_dino.py; `dino_head` and `ibot_head` in DINOv2's training checkpoints.
_PROJECTION_HEAD = re.compile(r"(head|dino_head|ibot_head)\.(mlp|last_layer)\.")
_PROJECTION_REASON = "the projection head of DINO's training, no part of the backbone"

# DINOv2 trains its blocks in chunks; the second number counts the blocks over all chunks
# (dinov2/models/vision_transformer.py `BlockChunk`).
_CHUNKED = re.compile(r"^blocks\.\d+\.(?=\d+\.)")

# Both networks in one flat mapping, as DINOv2's own training keeps them.
_FLAT_NETWORK = re.compile(r"(teacher|student)\.(backbone\.|cls_token$|patch_embed\.)")


def unwrap(source: Any, select: str | None = None) -> Checkpoint:
    """Return the one network in a checkpoint, its names free of wrappers and prefixes.

    - Wrappers: `model`, `state_dict`, `model_state`, and before them `model_ema` and
      `state_dict_ema`, the averaged weights. Of training checkpoints with two networks one: of DINO
      and DINOv2 `teacher` or `student`, of I-JEPA `encoder` or `target_encoder`.
    - `module.`, `_orig_mod.`, `backbone.` and `model.` are removed at the start of the names, only
      if every name has the prefix. DINO's projection head beside a `backbone.` is dropped first.
    - The chunks of DINOv2's training are taken away: `blocks.0.3.` becomes `blocks.3.`.

    Args:
        source: a `Checkpoint`, or anything that `open_checkpoint` takes.
        select: `"teacher"` or `"student"` of a DINO checkpoint, `"encoder"` or `"target_encoder"`
            of an I-JEPA one. Defaults to the teacher, which is what DINO evaluates and publishes,
            or the encoder.

    Returns:
        a flat checkpoint that reads from the same source. Its `notes` say what was done, its
        `dropped` names each tensor that was left out, with the reason.

    Raises:
        InputError: if the weights can't be told from the rest, or a name would appear twice.
        UsageError: if `select` is unknown, or the checkpoint has no such network.
    """
    if select not in (None, *NETWORKS):
        listing = ", ".join(map(repr, NETWORKS))
        raise UsageError(
            f"select must be {listing} or None. Received: {select!r}. Pass one of them"
        )
    return _Unwrapper(open_checkpoint(source), select).run()


class _Unwrapper:
    """One run of `unwrap`, which gathers the notes."""

    def __init__(self, checkpoint: Checkpoint, select: str | None):
        self._checkpoint = checkpoint
        self._select = select
        self._notes = list(checkpoint.notes)
        self._dropped = dict(checkpoint.dropped)
        self._found = False

    def run(self) -> Checkpoint:
        tensors = self._strip_prefixes(self._flat(self._enter(self._checkpoint.tree)))
        tensors = self._strip_prefixes(self._select_flat(tensors))
        tensors = self._strip_prefixes(self._drop_projection_head(tensors))
        tensors = self._merge_chunks(tensors)
        if self._select and not self._found:
            raise UsageError(
                f"{self._checkpoint.label} has no {self._select!r}; only a full checkpoint of the "
                f"training has. Received: select={self._select!r}. Leave select out"
            )
        return dataclasses.replace(
            self._checkpoint, tree=tensors, notes=tuple(self._notes), dropped=self._dropped
        )

    def _enter(self, tree: Tree) -> Tree:
        while groups := [name for name, item in tree.items() if _holds_tensors(item)]:
            name = self._choose(groups)
            self._found = self._found or name == self._select
            others = [repr(other) for other in tree if other != name]
            beside = f", and left aside {', '.join(others)}" if others else ""
            averaged = ", the averaged weights" if name in _AVERAGED else ""
            self._notes.append(f"Took {name!r} of the checkpoint{averaged}{beside}.")
            tree = tree[name]
        return tree

    def _choose(self, groups: list[str]) -> str:
        pair = _pair_in(groups)
        if pair:
            return self._network(pair, groups)
        known = [name for name in _WRAPPERS if name in groups]
        if not known:
            raise InputError(
                f"The weights in {self._checkpoint.label} are nested under a name that is not one "
                f"of {', '.join((*_WRAPPERS, *NETWORKS))}. Received: {', '.join(groups[:10])}. "
                "Pass the state dict itself"
            )
        return known[0]

    def _network(self, pair: tuple[str, str], groups: list[str]) -> str:
        name = self._select or pair[0]
        if name not in groups:
            there = next(one for one in pair if one in groups)
            raise UsageError(
                f"{self._checkpoint.label} has no {name!r}. Received: a checkpoint with "
                f"{there!r} alone. Pass select={there!r} to convert that one"
            )
        return name

    def _flat(self, tree: Tree) -> dict[str, StoredTensor]:
        tensors = {name: item for name, item in tree.items() if isinstance(item, StoredTensor)}
        others = [repr(name) for name in tree if name not in tensors]
        if others:
            self._notes.append(f"Left aside what is no tensor: {', '.join(others)}.")
        return tensors

    def _select_flat(self, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
        groups = {name.split(".", 1)[0] for name in tensors if _FLAT_NETWORK.match(name)}
        if not groups:
            return tensors
        network = self._network(_PAIRS[0], sorted(groups))
        self._found = self._found or network == self._select
        kept = {name: item for name, item in tensors.items() if name.startswith(f"{network}.")}
        beside = sorted({name.split(".", 1)[0] for name in tensors if name not in kept})
        left = f", and left aside {', '.join(map(repr, beside))}" if beside else ""
        self._notes.append(f"Took the tensors of {network!r}{left}.")
        return {name.removeprefix(f"{network}."): item for name, item in kept.items()}

    def _merge_chunks(self, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
        merged = {_CHUNKED.sub("blocks.", name, count=1): name for name in tensors}
        if len(merged) < len(tensors):
            twice = next(name for name in tensors if name not in merged.values())
            raise InputError(
                f"{self._checkpoint.label} holds a block twice in its chunks; a number counts one "
                f"block over all chunks. Received: {twice!r} and another. Get the file again"
            )
        if list(merged) != list(tensors):
            self._notes.append("Joined the chunks of blocks that DINOv2's training makes.")
        return {name: tensors[stored] for name, stored in merged.items()}

    def _drop_projection_head(self, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
        kept = {name: item for name, item in tensors.items() if not _PROJECTION_HEAD.match(name)}
        # Beside other names than a backbone's, `head.mlp` may be a classifier: not ours to drop.
        if not kept or not all(name.startswith("backbone.") for name in kept):
            return tensors
        dropped = [name for name in tensors if name not in kept]
        if dropped:
            self._dropped.update(dict.fromkeys(dropped, _PROJECTION_REASON))
            self._notes.append(f"Dropped {len(dropped)} tensors: {_PROJECTION_REASON}.")
        return kept

    def _strip_prefixes(self, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
        while prefix := next((p for p in _PREFIXES if self._is_on_all(p, tensors)), None):
            self._notes.append(f"Removed the prefix {prefix!r} from {len(tensors)} names.")
            tensors = {name.removeprefix(prefix): item for name, item in tensors.items()}
        return tensors

    def _is_on_all(self, prefix: str, tensors: dict[str, StoredTensor]) -> bool:
        having = [name for name in tensors if name.startswith(prefix)]
        twice = [name for name in having if name.removeprefix(prefix) in tensors]
        if twice:
            raise InputError(
                f"{self._checkpoint.label} holds a tensor twice, with and without the prefix "
                f"{prefix!r}; which one counts can't be told. Received: {twice[0]!r} and "
                f"{twice[0].removeprefix(prefix)!r}. Pass a state dict with one of them"
            )
        return len(having) == len(tensors)


def _holds_tensors(item: Any) -> bool:
    return isinstance(item, dict) and any(flat_tensors(item))


def _pair_in(groups: list[str]) -> tuple[str, str] | None:
    """Return the pair of networks that a training checkpoint holds, if it is one."""
    if "teacher" in groups or "student" in groups:
        return _PAIRS[0]
    # An "encoder" alone may be anything.
    return _PAIRS[1] if "target_encoder" in groups else None
