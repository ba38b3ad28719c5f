"""Working through the pictures of a command: one bad file is named, and the others finish."""

import collections
import concurrent.futures
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tqdm

from kerasvit.errors import InputError, KerasViTError, UsageError

# Pictures that are decoded while one is computed; more would only fill the memory.
_AHEAD = 2


def each_picture(
    paths: Sequence[pathlib.Path],
    load: Callable[[pathlib.Path], Any],
    work: Callable[[pathlib.Path, Any, "Progress"], None],
    fail_fast: bool = False,
    failed: Callable[[pathlib.Path, KerasViTError], None] = lambda path, error: None,
) -> int:
    """Load pictures in the background, and work on one after the other.

    A picture that fails is reported on standard error, and the others go on. A usage error before
    any picture is done ends it all: it would be the same for each.

    Args:
        paths: the pictures.
        load: decodes one; runs in a thread.
        work: what is done with one, given what `load` returned.
        fail_fast: whether the first error ends it.
        failed: called for each picture that fails.

    Returns:
        The exit code: 0, or that of the last error.

    Raises:
        KerasViTError: the error of a single picture, of the first one with `fail_fast`, or one that
            is not the picture's.
    """
    code, done = 0, 0
    with Progress(len(paths)) as progress:
        for path, loaded in load_ahead(paths, load):
            try:
                work(path, loaded.result(), progress)
                done += 1
            except (InputError, UsageError) as error:
                if isinstance(error, UsageError) and not done:
                    raise
                failed(path, error)
                if fail_fast or len(paths) == 1:
                    raise
                progress.complain(_named(path, str(error)))
                code = InputError.exit_code
            progress.advance()
    return code


def load_ahead(
    paths: Sequence[pathlib.Path], load: Callable[[pathlib.Path], Any]
) -> Iterator[tuple[pathlib.Path, concurrent.futures.Future]]:
    """Yield each path with the future of what `load` returns; the next ones are under way.

    What has been yielded is not kept: the memory holds no more than the pictures ahead.
    """
    waiting: collections.deque = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(_AHEAD) as pool:
        try:
            for path in paths:
                waiting.append((path, pool.submit(load, path)))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()


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
            tqdm.tqdm.write(text, file=sys.stdout)

    def complain(self, text: str) -> None:
        """Print an error or a warning."""
        tqdm.tqdm.write(f"kerasvit: {text}", file=sys.stderr)

    def part(self, done: int, count: int | None) -> None:
        """Say how far the present picture is, such as the frames of a video."""
        self.bar.set_postfix_str(f"frame {done} of {count or '?'}")


def _named(path: pathlib.Path, message: str) -> str:
    """Return a message that names its picture."""
    named = str(path) in message or repr(str(path)) in message
    return message if named else f"{shown(path)}: {message}"


def shown(path: pathlib.Path) -> str:
    """Return a path for a line of output: as it is, or quoted where it would break the line."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def top_classes(model, logits, count: int) -> list[tuple[int, str, float]]:
    """Return the most probable classes of one image: number, name, probability.

    Args:
        model: the model, whose record may hold class names.
        logits: float array `(K,)`.
        count: how many.

    Raises:
        InputError: if the logits are not finite.
    """
    import numpy as np

    if not np.isfinite(logits).all():
        raise InputError(
            "The model's outputs must be finite. Received: NaN or infinity. "
            "Check the model's weights and its input"
        )
    shifted = np.exp(logits - logits.max())
    probabilities = shifted / shifted.sum()
    names = model.record.get("class_names") or []
    order = np.argsort(-probabilities, kind="stable")[:count].tolist()
    return [
        (
            index,
            names[index] if index < len(names) else f"class {index}",
            float(probabilities[index]),
        )
        for index in order
    ]
