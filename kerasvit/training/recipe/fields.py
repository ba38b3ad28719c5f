"""What a value of a recipe may be, each with its words for messages."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a value must be.

    Args:
        holds: function from a value as read to whether it is allowed.
        words: the same in words, after "must be".
        make: function from an allowed value to what is kept.
    """

    holds: Callable[[Any], bool]
    words: str
    make: Callable[[Any], Any] = lambda value: value


def _field(default: Any, rule: Rule) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule})


def text(default: str = "") -> Any:
    """Make a field for a text."""
    return _field(default, Rule(lambda value: isinstance(value, str), "a text"))


def choice(default: str, *allowed: str) -> Any:
    """Make a field for one of several names."""
    words = f"one of {', '.join(map(repr, allowed))}"
    return _field(default, Rule(lambda value: value in allowed, words))


def flag(default: bool) -> Any:
    """Make a field for true or false."""
    return _field(default, Rule(lambda value: isinstance(value, bool), "true or false"))


def flag_or(default: str) -> Any:
    """Make a field for true, false or the name that stands for choosing between them."""
    rule = Rule(
        lambda value: isinstance(value, bool) or value == default, f"true, false or {default!r}"
    )
    return _field(default, rule)


def count(default: int, lowest: int = 0) -> Any:
    """Make a field for a whole number that is not below `lowest`."""
    rule = Rule(
        lambda value: type(value) is int and value >= lowest, f"a whole number from {lowest}"
    )
    return _field(default, rule)


def share(default: float, highest: float = 1.0) -> Any:
    """Make a field for a number from 0 to `highest`."""
    rule = Rule(lambda value: _is_number(value, 0, highest), f"a number in [0, {highest:g}]", float)
    return _field(default, rule)


def numbers(default: tuple, length: int, lowest: float, whole: bool = False) -> Any:
    """Make a field for a list of so many numbers that are not below `lowest`."""

    def holds(value: Any) -> bool:
        return (
            isinstance(value, list | tuple)
            and len(value) == length
            and all(_is_number(one, lowest, math.inf) for one in value)
            and (not whole or all(type(one) is int for one in value))
        )

    kind = "whole numbers" if whole else "numbers"
    return _field(default, Rule(holds, f"a list of {length} {kind} from {lowest:g}", tuple))


def stages() -> Any:
    """Make a field for pairs of an image size and a number of epochs."""

    def holds(value: Any) -> bool:
        return isinstance(value, list | tuple) and all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and all(type(number) is int and number > 0 for number in pair)
            for pair in value
        )

    words = "a list of [image size, epochs], such as [[16, 7], [32, 3]]"
    return _field((), Rule(holds, words, lambda value: tuple(map(tuple, value))))


def table() -> Any:
    """Make a field for a table of anything."""
    rule = Rule(lambda value: isinstance(value, dict), "a table", dict)
    return dataclasses.field(default_factory=dict, metadata={"rule": rule})


def _is_number(value: Any, lowest: float, highest: float) -> bool:
    return type(value) in (int, float) and lowest <= value <= highest
