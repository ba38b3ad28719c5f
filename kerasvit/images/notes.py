"""What is worth saying of a picture that could be read: it is logged, and whoever asks gets it."""

import contextlib
import contextvars
import logging
from collections.abc import Iterator

_log = logging.getLogger(__name__)
_collected: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("notes", default=None)


@contextlib.contextmanager
def collecting() -> Iterator[list[str]]:
    """Collect the notes of the pictures that are read in this block, in this thread.

    Yields:
        The notes so far, without the pictures' names.
    """
    notes: list[str] = []
    token = _collected.set(notes)
    try:
        yield notes
    finally:
        _collected.reset(token)


def note(name: str, text: str) -> None:
    """Say something of a picture.

    Args:
        name: what messages call it.
        text: as a sentence goes on after the name and a colon.
    """
    _log.warning("%s: %s", name, text)
    notes = _collected.get()
    if notes is not None:
        notes.append(text)
