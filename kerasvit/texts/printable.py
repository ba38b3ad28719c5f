"""Texts from outside, made fit for a line on a terminal and for a page."""

import unicodedata
from typing import Any

# Controls, lone surrogates, separators of lines and paragraphs, and what changes how the text
# around it is shown: overrides of the writing direction, tags, marks without a width.
_HIDDEN = ("Cc", "Cs", "Zl", "Zp", "Cf")
# Joiners are letters in Persian, Hindi and emoji; a soft hyphen is a hyphen.
_KEPT = "\u200c\u200d\u00ad"


def printable(text: object, *, lines: bool = False) -> str:
    """Return a text in which everything that a terminal obeys is shown instead.

    Class names, records, file names and servers' words may hold escape codes that move the cursor,
    line breaks that forge lines, and marks that reverse what follows. Each is written as Python
    writes it: `\\x1b`, `\\n`, `\\u202e`. A text without them comes back as it is.

    Args:
        text: made a string first.
        lines: whether line feeds stay, in a text of several lines whose parts were looked at.
    """
    given = str(text)
    if given.isascii() and given.isprintable():
        return given
    return "".join(_shown(letter, lines) for letter in given)


def printable_tree(value: Any) -> Any:
    """Return a value of JSON in which every text and every name is `printable`."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_tree(name): printable_tree(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable_tree(item) for item in value]
    return value


def _shown(letter: str, lines: bool) -> str:
    if letter == "\n" and lines:
        return letter
    if unicodedata.category(letter) not in _HIDDEN or letter in _KEPT:
        return letter
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
