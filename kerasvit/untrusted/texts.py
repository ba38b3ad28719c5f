"""JSON and TOML of strangers: whatever is wrong with them is a `ValueError` of one line."""

import json
import re
import tomllib
from typing import Any

# Names of the 21,841 classes of ImageNet-21k take 2 MiB.
JSON_BYTES = 8 * 2**20
TOML_BYTES = 2**20
# A key of many parts costs the square of their number; ours have three.
# Both begin at no second letter of a word and go back over none, else long words take hours.
_PART = r"(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')"
_DEEP_KEY = re.compile(rf"(?<![\w-]){_PART}(?:\s*+\.\s*+{_PART}){{31}}")
_DEEP_VALUE = re.compile(r"(?:[\[{]\s*+){32}")


def read_json(data: bytes | str, limit: int = JSON_BYTES) -> Any:
    """Return what a text of JSON says.

    Args:
        data: the text, in UTF-8 if it is bytes.
        limit: how many bytes, or letters, it may have.

    Raises:
        ValueError: if it is longer, no JSON, nested too deeply, or has a name twice in one object
            or a number of thousands of digits.
    """
    if len(data) > limit:
        raise ValueError(f"{len(data)} bytes of JSON, of at most {limit}")
    try:
        return json.loads(data, object_pairs_hook=_names_once)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error


def read_toml(text: str) -> dict[str, Any]:
    """Return what a text of TOML says.

    Raises:
        ValueError: if it is longer than any recipe, no TOML, nested too deeply, or has a number
            of thousands of digits.
    """
    if len(text) > TOML_BYTES:
        raise ValueError(f"{len(text)} letters of TOML, of at most {TOML_BYTES}")
    if _DEEP_KEY.search(text) or _DEEP_VALUE.search(text):
        raise ValueError("TOML that is nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("TOML that is nested too deeply") from error


def _names_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:100]!r} twice")
            seen.add(name)
    return mapping
