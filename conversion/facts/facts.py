"""Facts with their origins: what a network needs and no tensor's shape says, and who says it.

Readers of files, tables of names and live modules each contribute statements; several may speak of
one fact. The strongest counts. Statements that contradict each other are refused, not averaged:
a wrong value would fit the same tensors and give a wrong model.
"""

import collections.abc
import dataclasses
import enum
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kerasvit.errors import InputError, KerasViTError, UsageError


class Rank(enum.IntEnum):
    """How much an origin's word counts."""

    ASSUMED = 0  # the default of the model's class
    NAME = 1  # what the named architecture has
    LAYOUT = 2  # what the code has whose checkpoints name their tensors so
    STATED = 3  # what is written beside or inside the file, and a release's record
    USER = 4  # an option of the command, or a keyword
    CERTAIN = 5  # the tensors and the live module: what really runs


@dataclasses.dataclass(frozen=True)
class Fact:
    """One statement about a network or its pictures.

    Args:
        name: the argument of `VisionTransformer` or `CaiT`, or another key of `FLAGS`.
        value: the value in the terms of that argument.
        origin: who says so, as a message calls it: "config.json", "the live module".
        rank: how much that counts.
    """

    name: str
    value: Any
    origin: str
    rank: Rank

    def agrees(self, other: "Fact") -> bool:
        """Tell whether another statement has the same value."""
        return _equal(self.value, other.value)

    @property
    def shown(self) -> str:
        """The value and its origin, for a message."""
        return f"{shown_value(self.value)} ({self.origin})"


# The option that states each fact on the command line; any other argument: --set NAME=VALUE.
FLAGS: Mapping[str, str] = {
    "num_heads": "--num-heads",
    "hidden_dim": "--hidden-dim",
    "mlp_dim": "--mlp-dim",
    "num_layers": "--num-layers",
    "patch_size": "--patch-size",
    # (height, width) that the position embedding is stored for.
    "image_size": "--image-size",
    "channels": "--channels",
    "layer_norm_epsilon": "--epsilon",
    "activation": "--activation",
    "layer_scale_init_value": "--layer-scale",
    "num_registers": "--registers",
    "pooling": "--pooling",
    "rope_periods": "--rope-periods",
    "num_classes": "--num-classes",
    # How pictures are prepared: fields of `kerasvit.images.Preprocessing`, whose image_size is
    # input_size here.
    "mean": "--mean",
    "std": "--std",
    "crop_fraction": "--crop",
    "interpolation": "--interpolation",
    # What the classes mean.
    "class_names": "--class-names",
    "problem_type": "--problem-type",
}
PICTURE_FACTS = ("input_size", "crop_fraction", "crop_mode", "interpolation", "mean", "std")
MEANING_FACTS = ("class_names", "problem_type")


def flag(name: str, value: Any = None) -> str:
    """Return what states a fact on the command line, such as `--num-heads 12`."""
    shown = "" if value is None else shown_value(value, between=" ")
    if name in FLAGS:
        return f"{FLAGS[name]} {shown}".rstrip()
    return f"--set {name}={shown or 'VALUE'}"


class Facts(collections.abc.Mapping[str, Fact]):
    """Statements of several origins; as a mapping, each name's strongest `Fact`.

    Looking a fact up raises where its statements contradict each other: two that are certain or
    stated, unless the user's word decides between those that are only stated; or the user's and a
    certain one. What a layout, a name or a default implies gives way in silence.

    Args:
        statements: in any order; of equal rank, the first counts.
    """

    def __init__(self, statements: Iterable[Fact] = ()):
        self._statements = tuple(statements)
        self._by_name: dict[str, list[Fact]] = {}
        for fact in self._statements:
            self._by_name.setdefault(fact.name, []).append(fact)
        for facts in self._by_name.values():
            facts.sort(key=lambda fact: -fact.rank)

    def __or__(self, other: "Facts") -> "Facts":
        return Facts((*self._statements, *other._statements))

    def __getitem__(self, name: str) -> Fact:
        strongest, *others = self._by_name[name]
        for fact in others:
            if not fact.agrees(strongest) and self._may_not_differ(strongest, fact):
                raise _contradiction(strongest, fact)
        return strongest

    def _may_not_differ(self, strongest: Fact, other: Fact) -> bool:
        if other.rank is Rank.USER or strongest.rank is other.rank:
            return other.rank >= Rank.STATED
        is_vouched_for = any(
            fact.rank is Rank.USER and fact.agrees(strongest)
            for fact in self._by_name[strongest.name]
        )
        return other.rank is Rank.STATED and not is_vouched_for

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def value(self, name: str, default: Any = None) -> Any:
        """Return the value of a fact, or the default where nobody states it."""
        return self[name].value if name in self else default

    def at_least(self, rank: Rank) -> "Facts":
        """Return the statements of this rank and above."""
        return Facts(fact for fact in self._statements if fact.rank >= rank)

    def among(self, names: Iterable[str]) -> "Facts":
        """Return the statements about these names."""
        wanted = set(names)
        return Facts(fact for fact in self._statements if fact.name in wanted)

    def without(self, names: Iterable[str]) -> "Facts":
        """Return the statements about all other names."""
        unwanted = set(names)
        return Facts(fact for fact in self._statements if fact.name not in unwanted)

    def values_by_name(self) -> dict[str, Any]:
        """Return the strongest value of each name."""
        return {name: self[name].value for name in self}

    def overruled(self, name: str) -> list[Fact]:
        """Return the statements about a name that another one outweighs."""
        return [fact for fact in self._by_name[name] if not fact.agrees(self[name])]

    def to_record(self) -> dict[str, dict[str, Any]]:
        """Return value and origin of each fact as JSON-able values."""
        return {
            name: {"value": _plain(self[name].value), "origin": self[name].origin} for name in self
        }

    def __repr__(self) -> str:
        return f"<Facts {', '.join(f'{f.name}={f.shown}' for f in self._statements)}>"


def certain(origin: str, values: Mapping[str, Any]) -> Facts:
    """Return facts of what really runs: the tensors, or the live module."""
    return _facts(origin, values, Rank.CERTAIN)


def by_user(values: Mapping[str, Any]) -> Facts:
    """Return the facts of the options that the user gave; None for one that was not given."""
    given = {name: value for name, value in values.items() if value is not None}
    return Facts(Fact(name, value, flag(name), Rank.USER) for name, value in given.items())


def stated(origin: str, values: Mapping[str, Any]) -> Facts:
    """Return facts that are written down: in a config, a release's record, a training's options."""
    return _facts(origin, values, Rank.STATED)


def implied(layout: str, values: Mapping[str, Any]) -> Facts:
    """Return what the code has whose checkpoints name their tensors in this layout."""
    return _facts(f"the layout {layout}", values, Rank.LAYOUT)


def by_name(name: str, values: Mapping[str, Any]) -> Facts:
    """Return what the named architecture has."""
    return _facts(f"the name {name}", values, Rank.NAME)


def _facts(origin: str, values: Mapping[str, Any], rank: Rank) -> Facts:
    return Facts(Fact(name, value, origin, rank) for name, value in values.items())


def shown_value(value: Any, between: str | None = None) -> str:
    """Return a value as a message has it, or a command line, whose values a blank is between."""
    if isinstance(value, list | tuple):
        usual = "x" if all(isinstance(item, int) for item in value) else ", "
        shown = [shown_value(item) for item in value]
        return (between or usual).join(shown) if len(shown) <= 4 else f"{len(shown)} values"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _contradiction(one: Fact, other: Fact) -> KerasViTError:
    advice = (
        "Leave the option out, or pass another source"
        if one.rank is Rank.CERTAIN and other.rank is Rank.USER
        else f"Say which one is right, such as {flag(one.name, one.value)}"
    )
    by_options = Rank.USER in (one.rank, other.rank)
    return (UsageError if by_options else InputError)(
        f"Two origins contradict each other about {one.name}: they must agree. Received: "
        f"{one.shown} and {other.shown}. {advice}"
    )


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) or isinstance(other, float):
        try:
            return math.isclose(one, other, rel_tol=1e-6)
        except TypeError:
            return False
    return one == other


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
