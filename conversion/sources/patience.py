"""How patient a download is."""

import dataclasses
import math
import os
from typing import Self

from kerasvit.errors import UsageError

_MAX_SECONDS = 3600


@dataclasses.dataclass(frozen=True)
class Limits:
    """How patient a download is.

    Args:
        connect: seconds until a connection stands.
        stall: seconds without a byte.
        tries: how often a file is asked for when the server fails (5xx), is asked too much (429) or
            drops the connection, in which case only the rest is asked for where the server can
            tell that the file is the same. A timeout is not tried again, so that the wait stays
            within it.
        backoff: seconds before the second try; each later wait is twice as long.
        max_bytes: the largest file that is taken; None for any.
        rate: the least bytes a second, over the whole of a try.
    """

    connect: float = 10.0
    stall: float = 30.0
    tries: int = 3
    backoff: float = 1.0
    max_bytes: int | None = None
    rate: float = 1024.0

    @property
    def grace(self) -> float:
        """Seconds of a try that pass before the rate counts."""
        return 2 * (self.connect + self.stall)

    @classmethod
    def from_environment(cls) -> Self:
        """Return the limits with `KERASVIT_CONNECT_TIMEOUT` and `KERASVIT_STALL_TIMEOUT`.

        Raises:
            UsageError: if one of them is no number of seconds in (0, 3600].
        """
        return cls(
            connect=_seconds("KERASVIT_CONNECT_TIMEOUT", cls.connect),
            stall=_seconds("KERASVIT_STALL_TIMEOUT", cls.stall),
        )


def _seconds(variable: str, default: float) -> float:
    text = os.environ.get(variable) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MAX_SECONDS:
        raise UsageError(
            f"{variable} must be a number of seconds in (0, {_MAX_SECONDS}]. "
            f"Received: {text!r}. Set it again, or unset it for {default:g}"
        )
    return seconds
