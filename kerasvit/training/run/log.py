"""The log of a run: a row an epoch, also of the epochs before a kill."""

import csv
import io
import os
import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from kerasvit.errors import InputError
from kerasvit.files import atomic_path
from kerasvit.training.distribution import is_first_host


class Log(keras.callbacks.Callback):
    """One row an epoch, in a CSV file that is whole at any time.

    Args:
        path: the file.
        rows: of the epochs before.
    """

    def __init__(self, path: pathlib.Path, rows: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__()
        self.path, self.size, self.began = path, 0, time.monotonic()
        self.rows = list(rows)

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.began = time.monotonic()

    def add(self, epoch: int, logs: Mapping[str, float]) -> list[dict[str, Any]]:
        """Add the row of an epoch, counted from 0, and return all rows."""
        figures = {name: f"{float(value):.6g}" for name, value in logs.items()}
        seconds = f"{time.monotonic() - self.began:.1f}"
        rate = f"{float(self.model.optimizer.learning_rate):.6g}"
        row = {"epoch": epoch + 1, "image_size": self.size, "seconds": seconds}
        self.rows.append({**row, "learning_rate": rate, **figures})
        return self.rows

    def write(self) -> None:
        """Write the file.

        Raises:
            OutputError: if it cannot be written.
        """
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        if not is_first_host():
            return
        with atomic_path(self.path, overwrite=True) as temporary:
            temporary.write_text(text.getvalue())


def earlier_rows(path: pathlib.Path, meta: Mapping[str, Any], epochs: int) -> list[dict[str, Any]]:
    """Return the rows of a log up to an epoch: those of the state, or of the file beside it.

    Args:
        path: of the log. Runs of earlier versions kept their rows there alone.
        meta: of the state.
        epochs: that are done.

    Raises:
        InputError: if the file is damaged.
    """
    rows = meta.get("log")
    if rows is None:
        if not epochs or not os.path.isfile(path):
            return []
        with path.open(newline="", errors="replace") as file:
            rows = list(csv.DictReader(file))
    try:
        return [row for row in rows if int(row["epoch"]) <= epochs]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} must have a row for each epoch of the run. Received: one without its "
            "number. Remove the file: the run goes on without the rows before"
        ) from error
