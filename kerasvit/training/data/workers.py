"""The processes of grain that read pictures: their beginning, their end, and what is said of it."""

import atexit
import contextlib
import functools
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from kerasvit.errors import UsageError

# What grain 0.2 says of a process that is no more.
_ENDED = re.compile(r"[Ww]orker process was terminated.* exit code (-?\d+)")
# Start of the names that it gives its processes.
_NAME = "grain-process-prefetch"
# Blocks of memory that a killed process shared are freed, and counted aloud, by Python.
_COUNTED = "ignore:resource_tracker"


def from_workers(batches: Iterable[Any]) -> Generator[Any, None, None]:
    """Yield what processes of grain read; they are gone when this ends.

    Args:
        batches: a dataset of grain whose processes begin with `end_with_parent`.

    Raises:
        UsageError: if one of them died.
    """
    if _COUNTED not in sys.warnoptions:
        sys.warnoptions.append(_COUNTED)
    _leave_none()
    others, own = _processes(), set[Any]()
    read: Any = iter(batches)
    try:
        with _deaths_told():
            try:
                with _deaf_to_interrupts():
                    first = next(read)
            finally:
                # Before another iterator can begin: `fit` makes several, one after the other.
                own = _processes() - others
            yield first
            yield from read
    except Exception:
        # One that is still starting would not hear that it is to end.
        for process in own:
            process.kill()
        raise
    finally:
        read.close()


def end_with_parent(number: int = 0, count: int = 1) -> None:
    """Have this process, of so many, end when the one that started it does, even by SIGKILL."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True, name="kerasvit-parent").start()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C, which a terminal sends to all: we end them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextlib.contextmanager
def _deaths_told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        ended = _ENDED.search(str(error))
        if ended is None:
            raise
        raise UsageError(
            "The processes that read pictures must live as long as the training. Received: one of "
            f"them ended with {_how(int(ended[1]))}. Try again with fewer of them (data.workers; "
            "0 takes threads); --resume goes on from the last state"
        ) from error


def _how(code: int) -> str:
    """Return how a process ended, by its exit code, which is below 0 for a signal."""
    if code >= 0:
        return f"code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
    return f"{name}, as where memory is short" if name == "SIGKILL" else name


@functools.cache
def _leave_none() -> None:
    """Kill them when this process ends: grain waits half a minute for each that still starts."""
    atexit.register(lambda: [process.kill() for process in _processes()])


def _processes() -> set[Any]:
    processes = multiprocessing.active_children()
    return {process for process in processes if process.name.startswith(_NAME)}
