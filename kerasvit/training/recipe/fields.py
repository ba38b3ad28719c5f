"""Fields of a recipe's tables: each with its default and the rule of its values."""

import dataclasses
from typing import Any

from kerasvit import fields
from kerasvit.fields import Rule

# More than any run takes, and few enough to be counted with.
EPOCHS, SIDE, _WIDEST = 10**6, 2**14, 2**13


def _field(default: Any, rule: Rule) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule})


def text(default: str = "") -> Any:
    """Make a field for a text."""
    return _field(default, fields.TEXT)


def choice(default: str, *allowed: str) -> Any:
    """Make a field for one of several names."""
    return _field(default, fields.one_of(*allowed))


def flag(default: bool) -> Any:
    """Make a field for true or false."""
    return _field(default, fields.FLAG)


def flag_or(default: str) -> Any:
    """Make a field for true, false or the name that stands for choosing between them."""
    rule = Rule(
        lambda value: isinstance(value, bool) or value == default, f"true, false or {default!r}"
    )
    return _field(default, rule)


def count(default: int, lowest: int = 0, highest: int = 10**9) -> Any:
    """Make a field for a whole number in `[lowest, highest]`."""
    return _field(default, fields.count(lowest, highest))


def share(default: float, highest: float = 1.0) -> Any:
    """Make a field for a number from 0 to `highest`."""
    rule = Rule(
        lambda value: fields.is_number(value, 0, highest), f"a number in [0, {highest:g}]", float
    )
    return _field(default, rule)


def numbers(default: tuple, length: int, lowest: float) -> Any:
    """Make a field for a list of so many numbers that are not below `lowest`."""
    return _field(default, fields.numbers(length, lowest))


def widths(default: tuple[int, ...]) -> Any:
    """Make a field for a list of as many widths of layers."""
    rule = Rule(
        lambda value: fields.is_list(value, fields.count(1, _WIDEST).holds, len(default)),
        f"a list of {len(default)} whole numbers from 1 to {_WIDEST}",
        tuple,
    )
    return _field(default, rule)


def stages() -> Any:
    """Make a field for pairs of an image size and a number of epochs."""

    def is_pair(value: Any) -> bool:
        return fields.is_list(value, fields.count(1, EPOCHS).holds, 2) and value[0] <= SIDE

    rule = Rule(
        lambda value: fields.is_list(value, is_pair),
        "a list of [image size, epochs], such as [[16, 7], [32, 3]]",
        lambda value: tuple(map(tuple, value)),
    )
    return _field((), rule)


def table() -> Any:
    """Make a field for a table of anything."""
    return dataclasses.field(default_factory=dict, metadata={"rule": fields.TABLE})
