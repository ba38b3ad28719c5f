"""Tables of checked values: what each key may be, in code and in words, and the reader of both.

Recipes, release records and `kerasvit.images.Preprocessing` say what they hold by these rules.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasvit.errors import InputError


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


def read_table(
    given: Any, rules: Mapping[str, Rule], where: str, required: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the values of a table as they are kept.

    Args:
        given: the table as read.
        rules: of each key that there may be.
        where: the table's place, for messages.
        required: the keys that there must be.

    Raises:
        InputError: if it is no table, a key is unknown (the message names the closest) or missing,
            or a value breaks its rule.
    """
    check_names(given, rules, where)
    for name, value in given.items():
        if not rules[name].holds(value):
            raise problem(where, f"{name} must be {rules[name].words}", value)
    for name in required:
        if name not in given:
            raise problem(where, f"the key {name!r} is missing")
    return {name: rules[name].make(value) for name, value in given.items()}


def check_names(given: Any, known: Iterable[str], where: str, what: str = "key") -> None:
    """Raise `InputError` unless a value is a table of known names.

    Args:
        given: the value as read.
        known: the names there may be.
        where: the table's place, for messages.
        what: what a name stands for.
    """
    if not isinstance(given, Mapping):
        raise problem(where, "must be a table", given)
    for name in given:
        if name not in known:
            near = nearest(name, list(known))
            there = ", ".join(known)
            raise problem(where, f"unknown {what} {name!r}.{near} The {what}s are {there}", name)


def problem(where: str, rule: str, *received: Any) -> InputError:
    """Return the error of a table that breaks a rule, for the caller to raise."""
    values = "".join(f". Received: {value!r}" for value in received)
    return InputError(f"{where}: {rule}{values}. Correct it.")


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a question after the known name that is closest, to follow a sentence; or nothing."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    return f" Did you mean {near[0]!r}?" if near else ""


def is_whole(value: Any, lowest: float = -math.inf) -> bool:
    """Tell a whole number that is not below `lowest`; a bool is none."""
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_integer and value >= lowest


def is_number(value: Any, lowest: float = -math.inf, highest: float = math.inf) -> bool:
    """Tell a finite number in `[lowest, highest]`; a bool is none."""
    is_real = isinstance(value, int | float | np.integer | np.floating)
    is_real = is_real and not isinstance(value, bool)
    return is_real and math.isfinite(value) and lowest <= value <= highest


def is_list(value: Any, holds: Callable[[Any], bool], length: int | None = None) -> bool:
    """Tell a list, tuple or array of one axis, of so many values that are each allowed."""
    if isinstance(value, np.ndarray):
        value = list(value) if value.ndim == 1 else None
    is_sequence = isinstance(value, list | tuple)
    return is_sequence and length in (None, len(value)) and all(map(holds, value))


def matching(pattern: str) -> Callable[[Any], bool]:
    """Return a function that tells whether a value is a text that matches all of a pattern."""
    full = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and full(value) is not None


def one_of(*values: str) -> Rule:
    """Return the rule of one of several names."""
    words = f"one of {', '.join(map(repr, values))}"
    return Rule(lambda value: isinstance(value, str) and value in values, words)


def count(lowest: int = 0, highest: float = math.inf) -> Rule:
    """Return the rule of a whole number in `[lowest, highest]`."""
    words = f"a whole number from {lowest}{'' if highest == math.inf else f' to {highest}'}"
    return Rule(lambda value: is_whole(value, lowest) and value <= highest, words, int)


def numbers(length: int, lowest: float = -math.inf, whole: bool = False) -> Rule:
    """Return the rule of a list of so many numbers that are not below `lowest`."""
    check, kind, make = (is_whole, "whole numbers", int) if whole else (is_number, "numbers", float)
    words = f"a list of {length} {kind}{'' if lowest == -math.inf else f' from {lowest:g}'}"
    return Rule(
        lambda value: is_list(value, lambda number: check(number, lowest), length),
        words,
        lambda value: tuple(map(make, value)),
    )


TEXT = Rule(lambda value: isinstance(value, str), "a text")
FLAG = Rule(lambda value: isinstance(value, bool), "true or false")
TABLE = Rule(lambda value: isinstance(value, dict), "a table", dict)
