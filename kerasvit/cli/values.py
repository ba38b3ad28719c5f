"""Values on the command line: from texts to names, numbers, queries and options of methods."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasvit.errors import UsageError


def split_names(text: str, what: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a list separated by commas, each once.

    Args:
        text: such as `attention,rollout`.
        what: what a name stands for, in a message.
        known: the names there are.

    Raises:
        UsageError: if there is no name, or one that is not known; the message lists these.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"There is no such {what}. Received: {', '.join(map(repr, unknown)) or 'none'}. "
            f"Choose among {', '.join(known)}, separated by commas"
        )
    return names


def parse_number(text: str | None) -> Any:
    """Return an int or a float where the text is one, else the text."""
    if text is None:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return text


def parse_query(text: str) -> str | tuple[int, int]:
    """Return "class" and the like, or `(row, column)` of "3,5"; "cls" and "dist" are short names.

    Raises:
        UsageError: if the text has a comma and is no such pair.
    """
    if "," not in text:
        return {"cls": "class", "dist": "distillation"}.get(text, text)
    return parse_pair(text, "--query", "3,5")


def parse_pair(text: str, option: str, example: str) -> tuple[int, int]:
    """Return `(row, column)` of "3,5".

    Args:
        text: what was typed.
        option: what a message calls it.
        example: what could be typed.

    Raises:
        UsageError: if it is no such pair.
    """
    parts = [parse_number(part) for part in text.split(",")]
    if len(parts) != 2 or not all(isinstance(part, int) for part in parts):
        what = "A query patch" if option == "--query" else f"The value of {option}"
        raise UsageError(
            f"{what} is ROW,COLUMN. Received: {option} {text!r}. For instance: {option} {example}"
        )
    return parts[0], parts[1]


def parse_method_options(
    texts: Sequence[str], methods: Sequence[str]
) -> Mapping[str, dict[str, Any]]:
    """Return the options of each method, by method and name.

    Args:
        texts: such as `rollout.discard=0.9`.
        methods: those that are asked for.

    Raises:
        UsageError: if a text has another form, its method is not asked for or has no such option,
            or the value cannot be.
    """
    from kerasvit.saliency import METHODS

    by_method: dict[str, dict[str, str]] = {}
    for text in texts:
        place, _, value = text.partition("=")
        method, _, name = place.partition(".")
        if not (name and value) or method not in methods:
            raise UsageError(
                "An option is METHOD.NAME=VALUE, of a method that is asked for "
                f"({', '.join(methods)}). Received: --option {text!r}. "
                "For instance: --option rollout.discard=0.9"
            )
        by_method.setdefault(method, {})[name] = value
    return {method: METHODS[method].options.parse(own) for method, own in by_method.items()}
