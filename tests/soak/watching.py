"""The memory of a process while it works."""

import os
import pathlib
import statistics
import threading

MEGABYTE = 2**20
# Of the first quarter's memory, and in megabytes: what the last quarter may have beyond it.
_MAY_GROW, _ALWAYS = 0.1, 30


class Lost(Exception):
    """Something was lost, miscounted, or grew."""


def check(holds: bool, message: str) -> None:
    """Raise `Lost` unless something holds."""
    if not holds:
        raise Lost(message)


class Memory:
    """Resident memory of a process and of those that it started, looked at ten times a second.

    Args:
        process: its number.
        progress: returns how far it is, in [0, 1].
    """

    def __init__(self, process: int, progress) -> None:
        self._process, self._progress = process, progress
        self._samples: list[tuple[float, int]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()

    def _look(self):
        while not self._ended.wait(0.1):
            resident = _resident(self._process)
            if resident:
                self._samples.append((self._progress(), resident))

    def quarters(self) -> tuple[float, float]:
        """Return the median of the first and of the last quarter of the work, in megabytes."""
        # What comes before any work is done is the start of the process.
        parts = [
            [resident for done, resident in self._samples if low < done <= high]
            for low, high in ((0.02, 0.25), (0.75, 1.0))
        ]
        check(all(parts), "there was too little work to look at its memory")
        first, last = (statistics.median(part) / MEGABYTE for part in parts)
        return first, last

    def report(self) -> str:
        """Return what to print of both quarters; raise `Lost` if the last one has grown."""
        first, last = self.quarters()
        text = f"resident memory {first:.0f} MB in the first quarter, {last:.0f} MB in the last"
        check(last < first * (1 + _MAY_GROW) + _ALWAYS, text)
        return text


def _resident(process: int) -> int:
    """Return the bytes of a process and its children; 0 once it has ended."""
    try:
        status = pathlib.Path(f"/proc/{process}/statm").read_text()
        children = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return 0
    own = int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return own + sum(map(_resident, map(int, children.split()))) if own else 0
