"""What a foreign way of naming tensors is: a table of rules from its names to timm's."""

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.names.transforms import Rule

_BLOCK = re.compile(r"\d+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class When:
    """A row of a table that holds for some files only.

    Args:
        needs: pattern that one of the file's canonical names must match, or a tuple of patterns
            of which each must.
        lacks: pattern that none of them may match, or a tuple of these.
    """

    needs: str | tuple[str, ...] = ()
    lacks: str | tuple[str, ...] = ()

    def holds(self, names: Collection[str]) -> bool:
        """Tell whether the row holds for a file of these names."""
        return all(has_any(names, pattern) for pattern in _patterns(self.needs)) and not any(
            has_any(names, pattern) for pattern in _patterns(self.lacks)
        )


def _patterns(patterns: str | tuple[str, ...]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else patterns


@dataclasses.dataclass(frozen=True)
class Spelling(When):
    """Another spelling of a name: where the regular expression matches, what stands there."""

    pattern: str
    replacement: str


@dataclasses.dataclass(frozen=True)
class Dropped(When):
    """A pattern of names that are left out, and the reason."""

    pattern: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Implied(When):
    """Arguments of the model that a layout decides and no tensor shows."""

    arguments: Mapping[str, Any]


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
        marks: regular expressions of names that a network of the family has, below whatever it is
            kept under; empty for a family whose files keep nothing else.
        are_timms: whether canonical names that no rule takes are timm's own.
        values: takes the tensors by their canonical names, returns what the values of some say of
            the model: they outweigh everything else.
    """

    name: str
    canonical: Callable[[Iterable[str]], Mapping[str, str] | None]
    rules: tuple[Rule, ...]
    dropped: Callable[[Collection[str]], Mapping[str, str]] = lambda names: {}
    arguments: Callable[[Collection[str]], dict[str, Any]] = lambda names: {}
    split: Callable[[str, StoredTensor], Iterable[tuple[str, StoredTensor]]] = _no_split
    marks: tuple[str, ...] = ()
    are_timms: bool = False
    values: Callable[[Mapping[str, StoredTensor]], dict[str, Any]] = lambda tensors: {}

    def rules_of(self, name: str) -> list[Rule]:
        """Return the rules that take the tensor of a canonical name, at its block's number."""
        if name in self._by_source:
            return self._by_source[name]
        number = _BLOCK.search(name)
        if number is None:
            return []
        template = f"{name[: number.start()]}{{i}}{name[number.end() :]}"
        return [rule.at(int(number[0])) for rule in self._by_source.get(template, ())]

    @property
    def _by_source(self) -> dict[str, list[Rule]]:
        return self.__dict__["by_source"]

    def __post_init__(self) -> None:
        by_source: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for source in rule.sources:
                by_source.setdefault(source, []).append(rule)
        self.__dict__["by_source"] = by_source


def naming_of_tables(
    name: str,
    *,
    marks: tuple[str, ...],
    rules: tuple[Rule, ...],
    spellings: tuple[Spelling, ...] = (),
    dropped: tuple[Dropped, ...] = (),
    implied: tuple[Implied, ...] = (),
    are_timms: bool = False,
    values: Callable[[Mapping[str, StoredTensor]], dict[str, Any]] = lambda tensors: {},
) -> Naming:
    """Return a naming that is nothing but tables.

    Args:
        name: what records and errors call it.
        marks: regular expressions; a checkpoint is of the family if a whole name matches each.
        rules: from canonical names to timm's.
        spellings: what becomes of a file's names before the rules see them, one after the other.
        dropped: what is left out of them.
        implied: what they say about the model.
        are_timms: whether names that no rule takes are timm's own.
        values: see `Naming`.
    """

    def canonical(names: Iterable[str]) -> Mapping[str, str] | None:
        stored = tuple(names)
        if not all(any(re.fullmatch(mark, name) for name in stored) for mark in marks):
            return None
        spelled = {name: name for name in stored}
        for spelling in spellings:
            if spelling.holds(spelled.values()):
                pattern = re.compile(spelling.pattern)
                spelled = {
                    name: pattern.sub(spelling.replacement, new) for name, new in spelled.items()
                }
        return spelled

    def reasons(names: Collection[str]) -> Mapping[str, str]:
        return {row.pattern: row.reason for row in dropped if row.holds(names)}

    def arguments(names: Collection[str]) -> dict[str, Any]:
        rows = [row.arguments for row in implied if row.holds(names)]
        return {key: value for row in rows for key, value in row.items()}

    return Naming(
        name,
        canonical,
        rules,
        reasons,
        arguments,
        marks=marks,
        are_timms=are_timms,
        values=values,
    )


def has_any(names: Collection[str], pattern: str) -> bool:
    """Tell whether a pattern with `*` matches one of the names."""
    if not any(sign in pattern for sign in "*?["):
        return pattern in names
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)
