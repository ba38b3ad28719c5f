"""How messages name an option: as Python writes it, or as the command line does."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Spelling:
    """The names of options in messages.

    Args:
        prefix: before a name.
        between: between a name and its value.
        names: the names that differ from those of `kerasvit.look.Settings`.
    """

    prefix: str = ""
    between: str = "="
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def name(self, option: str) -> str:
        """Return what an option is called: `"resize"`, or `"--resize"`."""
        return self.prefix + self.names.get(option, option)

    def given(self, option: str, value: Any) -> str:
        """Return an option with its value: `"resize=64"`, or `"--resize 64"`."""
        text = _joined(value) if self.prefix else repr(value)
        return f"{self.name(option)}{self.between}{text}"


def _joined(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


PYTHON = Spelling()
COMMAND = Spelling(
    "--",
    " ",
    {
        "formats": "format",
        "heads": "head",
        "target": "class",
        "options": "option",
        "max_pixels": "max-pixels",
        "out": "output",
    },
)
