"""What a command says of the pictures that it works through."""

import argparse
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tqdm

from kerasvit.cli.speech import output_errors, tell
from kerasvit.errors import InputError, KerasViTError
from kerasvit.images.inputs import LeftOut, PictureFile, find
from kerasvit.look import pictures
from kerasvit.texts.printable import printable

Loaded = TypeVar("Loaded")

_NAMED = 3


def each_picture(
    paths: Sequence[pathlib.Path],
    load: Callable[[pathlib.Path], Loaded],
    work: Callable[[pathlib.Path, Loaded, "Progress"], None],
    fail_fast: bool = False,
) -> int:
    """Work on one picture after the other; one that fails is named on standard error.

    Args:
        paths: the pictures.
        load: as for `kerasvit.look.pictures.each_picture`.
        work: what is done with one, given what `load` returned.
        fail_fast: whether the first error ends it.

    Returns:
        The exit code: 0, or that of a bad input.

    Raises:
        KerasViTError: as `kerasvit.look.pictures.each_picture`.
    """
    with Progress(len(paths)) as progress:

        def passed(path: pathlib.Path, error: KerasViTError | None) -> None:
            if error is not None:
                progress.pass_over(path, error)
            progress.advance()

        failed = pictures.each_picture(
            paths,
            load,
            lambda path, loaded: work(path, loaded, progress),
            fail_fast=fail_fast,
            passed=passed,
        )
    return InputError.exit_code if failed else 0


class Progress:
    """A bar on standard error where that is a terminal, and lines on standard output.

    Lines would push the bar along the same screen, so they are left out there.

    Args:
        total: how many pictures; for one there is no bar.
    """

    def __init__(self, total: int) -> None:
        hidden = True if total < 2 else None  # None: hidden where there is no terminal.
        self.bar = tqdm.tqdm(total=total, unit="picture", file=sys.stderr, disable=hidden)
        self.shows_lines = self.bar.disable or not sys.stdout.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        self.bar.close()

    def advance(self) -> None:
        """Count one picture."""
        self.bar.update()

    def line(self, text: str) -> None:
        """Print a line of the result."""
        if self.shows_lines:
            with output_errors():
                tqdm.tqdm.write(printable(text), file=sys.stdout)

    def complain(self, text: str) -> None:
        """Print an error or a warning."""
        tqdm.tqdm.write(f"kerasvit: {printable(text)}", file=sys.stderr)

    def pass_over(self, path: pathlib.Path, error: KerasViTError) -> None:
        """Name a picture that failed."""
        message = str(error)
        named = path.name in message or repr(path.name)[1:-1] in message
        self.complain(message if named else f"{shown(path)}: {message}")

    def part(self, done: int, count: int | None) -> None:
        """Say how far the present picture is, such as the frames of a video."""
        self.bar.set_postfix_str(f"frame {done} of {count or '?'}")


def find_pictures(options: argparse.Namespace) -> list[PictureFile]:
    """Return the pictures that a command's inputs stand for; what is left out is named.

    Raises:
        KerasViTError: as `kerasvit.images.inputs.find`.
    """
    found = find(options.inputs, recursive=options.recursive)
    say_left_out(found.left_out)
    return list(found.pictures)


def say_left_out(entries: Sequence[LeftOut]) -> None:
    """Name on standard error what is not read, a line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for entry in entries:
        by_reason.setdefault(entry.reason, []).append(shown(entry.path))
    for reason, names in by_reason.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        tell(f"kerasvit: left out, {reason}: {', '.join(names[:_NAMED])}{more}")


def shown(path: str | pathlib.Path) -> str:
    """Return a path for a line of output: as it is, or quoted where it would break the line."""
    text = str(path)
    return text if text.isprintable() else repr(text)
