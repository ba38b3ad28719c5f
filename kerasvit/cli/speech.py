"""All that the command line says: every text `printable`, and a full disk an error of ours."""

import contextlib
import os
import sys
from collections.abc import Iterator

from kerasvit.errors import OutputError
from kerasvit.texts.printable import printable


def say(*texts: object, flush: bool = False) -> None:
    """Print lines of the result.

    Args:
        texts: each a line.
        flush: whether they must be seen at once.

    Raises:
        OutputError: if they cannot be written.
    """
    with output_errors():
        print(*map(printable, texts), sep="\n", flush=flush)


def say_table(text: str) -> None:
    """Print lines whose cells are `printable` already, as those of `columns.aligned` are.

    Raises:
        OutputError: if they cannot be written.
    """
    with output_errors():
        print(printable(text, lines=True))


def tell(text: object) -> None:
    """Print one line on standard error: what is being done, and what went wrong."""
    with contextlib.suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


@contextlib.contextmanager
def output_errors() -> Iterator[None]:
    """Turn what the system says of standard output into an `OutputError`, but for a closed pipe."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            "Standard output cannot be written. Received: "
            f"{error.strerror or type(error).__name__}. Free the disk, or send it elsewhere"
        ) from error


def finish() -> None:
    """Write what is still to be written.

    Raises:
        OutputError: if it cannot be.
    """
    with output_errors():
        if sys.stdout is not None:
            sys.stdout.flush()


def forget_output() -> None:
    """Send what standard output still holds nowhere, so that the end of Python does not try."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
