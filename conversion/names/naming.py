"""What a foreign way of naming tensors is: a table of rules from its names to timm's."""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.names.transforms import Rule

_BLOCK = re.compile(r"\d+")


def _no_split(name: str, tensor: StoredTensor) -> Iterable[tuple[str, StoredTensor]]:
    return ((name, tensor),)


@dataclasses.dataclass(frozen=True, eq=False)
class Naming:
    """How a family of checkpoints names its tensors.

    Args:
        name: what records and errors call it.
        canonical: takes the names of a checkpoint, returns the name of each that the rules know,
            free of what differs between versions and wrappers; None for a checkpoint of another
            family.
        rules: from canonical names to timm's; "{i}" stands for a block's number.
        dropped: takes all canonical names, returns patterns of those left out with the reasons.
        arguments: takes all canonical names, returns what they imply for the model.
        split: takes a canonical name and its tensor, returns what the rules shall see in its place:
            the blocks of a tensor that holds all of them.
    """

    name: str
    canonical: Callable[[Iterable[str]], Mapping[str, str] | None]
    rules: tuple[Rule, ...]
    dropped: Callable[[Collection[str]], Mapping[str, str]] = lambda names: {}
    arguments: Callable[[Collection[str]], dict[str, Any]] = lambda names: {}
    split: Callable[[str, StoredTensor], Iterable[tuple[str, StoredTensor]]] = _no_split

    def rules_of(self, name: str) -> list[Rule]:
        """Return the rules that take the tensor of a canonical name, at its block's number."""
        if name in self._by_source:
            return self._by_source[name]
        number = _BLOCK.search(name)
        if number is None:
            return []
        template = f"{name[: number.start()]}{{i}}{name[number.end() :]}"
        return [rule.at(int(number[0])) for rule in self._by_source.get(template, ())]

    def __post_init__(self):
        by_source: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for source in rule.sources:
                by_source.setdefault(source, []).append(rule)
        object.__setattr__(self, "_by_source", by_source)
