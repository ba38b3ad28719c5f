"""The options of a saliency method: names, types, defaults and a line about each, written once."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from kerasvit.errors import UsageError

_WORDS = {1: "one", 2: "two"}


@dataclasses.dataclass(frozen=True)
class Rule:
    """What an option may be.

    Args:
        about: one line: what it does.
        choices: the values there are; empty for any.
        lowest: the lowest value.
        between: the values that it lies between, itself none of them.
        below: the value that it is below.
    """

    about: str
    choices: tuple[Any, ...] = ()
    lowest: float | None = None
    between: tuple[float, float] | None = None
    below: float | None = None


def option(default: Any, about: str, **rules: Any) -> Any:
    """Return the default of a field of `MethodOptions` that users may set.

    Args:
        default: its value where it is left out.
        about: one line: what it does.
        **rules: see `Rule`.
    """
    return dataclasses.field(default=default, metadata={"rule": Rule(about, **rules)})


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a method.

    Args:
        name: as Python and `--option METHOD.NAME=VALUE` write it.
        kinds: the types of its values; None for values that the method checks by itself.
        default: its value where it is left out.
        rule: what it may be.
    """

    name: str
    kinds: tuple[type, ...] | None
    default: Any
    rule: Rule

    @property
    def about(self) -> str:
        """What it does, in one line."""
        return self.rule.about

    def check(self, value: Any) -> None:
        """Raise `UsageError` unless the option may have this value."""
        if self.kinds is not None and not any(_is_a(value, kind) for kind in self.kinds):
            self._refuse(value, f"{self.name} is {self._expected()}")
        rule = self.rule
        if value is None:
            return
        if rule.choices and value not in rule.choices:
            self._refuse(value, f"There is no such {self.name}", self._expected())
        if rule.lowest is not None and value < rule.lowest:
            word = _WORDS.get(int(rule.lowest))
            self._refuse(
                value,
                f"There must be at least {word}" if word else f"{self.name} is at least 0",
            )
        if rule.below is not None and not value < rule.below:
            self._refuse(value, f"{self.name} is below {rule.below:g}")
        if rule.between is not None and not rule.between[0] < value < rule.between[1]:
            low, high = rule.between
            self._refuse(value, f"{self.name} lies between {low:g} and {high:g}")

    def parse(self, text: str) -> Any:
        """Return the value that a text on the command line stands for.

        Raises:
            UsageError: if it stands for none.
        """
        for kind in self.kinds or (int, float, str):
            value = _parsed(text, kind)
            if value is not None:
                return value
        raise UsageError(
            f"{self.name} is {self._expected()}. Received: {self.name}={text}. {self._hint()}"
        )

    def _expected(self) -> str:
        if self.rule.choices:
            return " or ".join(map(repr, self.rule.choices))
        if self.kinds == (bool,):
            return "0 or 1"
        names = {int: "a whole number", float: "a number", str: "a text", type(None): "None"}
        return " or ".join(names[kind] for kind in self.kinds or ())

    def _refuse(self, value: Any, rule: str, hint: str = "") -> typing.NoReturn:
        hint = f"Choose {hint}." if hint else self._hint()
        raise UsageError(f"{rule}. Received: {self.name}={value!r}. {hint}")

    def _hint(self) -> str:
        if self.default is None:
            return "Leave it out for the default."
        return f"The default is {self.default!r}."


def _is_a(value: Any, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, bool | np.bool_) or (_is_a(value, int) and value in (0, 1))
    if isinstance(value, bool):
        return False
    if kind is int:
        return isinstance(value, int | np.integer)
    if kind is float:
        return isinstance(value, int | float | np.integer | np.floating) and value == value
    return isinstance(value, kind)


def _parsed(text: str, kind: type) -> Any:
    if kind is bool:
        return {"0": False, "1": True, "false": False, "true": True}.get(text.lower())
    if kind is type(None):
        return None
    try:
        return kind(text)
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True)
class MethodOptions:
    """The options of a method, checked; the base of each method's own, and those of none.

    Raises:
        UsageError: if a value cannot be.
    """

    def __post_init__(self) -> None:
        for known in self.known():
            known.check(getattr(self, known.name))

    @classmethod
    def known(cls) -> tuple[Option, ...]:
        """Return the options there are."""
        hints = typing.get_type_hints(cls)
        return tuple(
            Option(field.name, _kinds(hints[field.name]), field.default, field.metadata["rule"])
            for field in dataclasses.fields(cls)
            if "rule" in field.metadata
        )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the options with these values.

        Raises:
            UsageError: if there is no such option, or a value cannot be.
        """
        cls.require(values)
        return cls(**values)

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the values of texts on the command line, by name.

        Raises:
            UsageError: as `read`.
        """
        cls.require(texts)
        known = {known.name: known for known in cls.known()}
        values = {name: known[name].parse(text) for name, text in texts.items()}
        cls.read(values)
        return values

    @classmethod
    def require(cls, names: typing.Iterable[str]) -> None:
        """Raise `UsageError` unless all names are those of options."""
        known = [known.name for known in cls.known()]
        unknown = sorted(set(names) - set(known))
        if unknown:
            choice = f"It takes {', '.join(known)}" if known else "It takes none"
            raise UsageError(
                f"This method has no such option. Received: {', '.join(unknown)}. {choice}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the options by name."""
        return {known.name: getattr(self, known.name) for known in self.known()}


def _kinds(hint: Any) -> tuple[type, ...] | None:
    """Return the types of a field that a text can be turned into; None where an array may do."""
    kinds = typing.get_args(hint) or (hint,)
    return None if any(kind is np.ndarray for kind in kinds) else kinds
