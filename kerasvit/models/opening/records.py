"""What a model's record may say where somebody reads it: the rules of a record in a file."""

from collections.abc import Mapping
from typing import Any

from kerasvit.errors import InputError, KerasViTError
from kerasvit.fields import Rule, is_list, is_number, problem
from kerasvit.images.preprocessing import Preprocessing


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_parity(value: Any) -> bool:
    scores = value.get("scores") if isinstance(value, Mapping) else None
    return (
        isinstance(scores, Mapping)
        and all(map(is_number, (value.get("logits"), *scores.values())))
        and isinstance(value.get("reference", ""), str)
    )


def _is_source(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, Mapping) and all(
        isinstance(value.get(name, ""), str | None) for name in ("file", "sha256")
    )


def _is_facts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(fact, Mapping) and "value" in fact for fact in value.values()
    )


_TEXT = Rule(_is_text, "a text")
_TABLE = Rule(lambda value: isinstance(value, Mapping), "a table")
# A record may say more, which nobody reads; any of these may be absent or null.
RECORD_RULES = {
    "class_names": Rule(lambda value: is_list(value, _is_text), "a list of texts"),
    "facts": Rule(_is_facts, "a table of facts, each with its value"),
    "finetuning": _TABLE,
    "licence": _TEXT,
    "parity": Rule(_is_parity, "figures of logits and scores"),
    "preprocessing": _TABLE,
    "release": _TEXT,
    "source": Rule(_is_source, "a text, or a table of texts"),
}


def check_record(record: Any, where: str) -> None:
    """Raise `InputError` unless what is read of a record is of the right kind.

    Args:
        record: as it stands in a file; None or {} for none.
        where: the file, as a message calls it.
    """
    if record is None:
        return
    if not isinstance(record, Mapping):
        raise problem(where, "the record must be a table", record)
    for name, rule in RECORD_RULES.items():
        value = record.get(name)
        if value is not None and not rule.holds(value):
            raise problem(where, f"the record's {name} must be {rule.words}", value)
    if record.get("preprocessing"):
        try:
            Preprocessing.from_dict(record["preprocessing"])
        except KerasViTError as error:
            raise InputError(f"{where}: the record's preprocessing is none: {error}") from error
