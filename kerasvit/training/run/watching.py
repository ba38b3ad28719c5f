"""Callbacks of a run: its log, its state and best model on disk, averages, the end at NaN."""

import contextlib
import csv
import io
import logging
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from kerasvit.errors import InputError, UsageError
from kerasvit.files import atomic_path
from kerasvit.training.distribution import is_first_host
from kerasvit.training.finite import is_finite
from kerasvit.training.optimizers import averaged
from kerasvit.training.run.checkpoints import restore_metrics, save_state
from kerasvit.training.run.generators import generator_states, set_generator_states

_log = logging.getLogger(__name__)

# Of a state: whether its model is the best one, and not on disk as such yet.
BEST_FOLLOWS = "best_follows"


class Stopped(Exception):
    """The run has reached `run.max_steps`; its state is saved."""


class AverageWeights(keras.callbacks.Callback):
    """Evaluates the averaged weights, and trains on with the others."""

    def __init__(self) -> None:
        super().__init__()
        self.lent = contextlib.ExitStack()

    def on_test_begin(self, logs=None):
        """Put the averages in."""
        self.lent.enter_context(averaged(self.model))

    def on_test_end(self, logs=None):
        """Put the weights back."""
        self.lent.close()


class RunState(keras.callbacks.Callback):
    """Keeps the state of the run, and the model that was best on the test pictures.

    The process' generators are at each step as the last one left them, or as they were when this
    was made: what draws from them between steps, such as PyTorch's data loaders, changes nothing.

    Args:
        path: of the state.
        steps: of an epoch.
        meta: what the state says besides, with "step" and "best"; it is kept up to date.
        save_best: called with the value when the model is the best so far.
        resumed_from: state whose metrics the first epoch goes on with, or None.

    Attributes:
        after_first: called once, when the first state of this run is on disk.
        waits: whether another run's files stand until then: the best model must not come first.
        log: whose rows go into the state, so that none is missing after a kill; None for none.
        is_saved: whether there is a state of this run.
    """

    def __init__(
        self,
        path: pathlib.Path,
        steps: int,
        meta: dict[str, Any],
        save_best: Callable[[float], None],
        resumed_from: pathlib.Path | None = None,
    ) -> None:
        super().__init__()
        self.path, self.steps, self.meta = path, steps, meta
        self.save_best, self.resumed_from = save_best, resumed_from
        self.generators = generator_states()
        self.after_first: Callable[[], None] = lambda: None
        self.waits = False
        self.log: Log | None = None
        self.is_saved = meta["step"] > 0

    def on_epoch_begin(self, epoch, logs=None):
        """Give the metrics back that an interrupted epoch had."""
        if self.resumed_from is not None:
            restore_metrics(self.resumed_from, self.model)
            self.resumed_from = None

    def on_train_batch_begin(self, batch, logs=None):
        """Go on with the random numbers of the last step."""
        set_generator_states(self.generators)

    def on_train_batch_end(self, batch, logs=None):
        """Remember where the random numbers are."""
        self.generators = generator_states()

    def on_epoch_end(self, epoch, logs=None):
        """Save the best model, then the state."""
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0.0)):
            return
        self.meta["step"] = (epoch + 1) * self.steps
        if self.log is not None:
            self.meta["log"] = self.log.add(epoch, logs)
        value = logs.get("val_accuracy")
        is_best = value is not None and value >= self.meta.get("best", 0.0)
        if is_best:
            self.meta["best"] = float(value)
        if self.waits:
            # Its best model follows: after a kill in between, from this state.
            self.meta[BEST_FOLLOWS] = is_best
            self.save()
            self.meta.pop(BEST_FOLLOWS)
        if is_best and is_finite(self.model):
            with averaged(self.model):
                self.save_best(float(value))
        # Last: what a kill leaves undone before it is done again after it.
        self.save()
        if self.log is not None:
            self.log.write()

    def save(self) -> None:
        """Write the state, unless it is not finite; then training ends."""
        if not is_finite(self.model):
            self.model.stop_training = True
            return
        if is_first_host():
            save_state(self.path, self.model, self.meta, self.generators)
            self.after_first()
            self.after_first = lambda: None
            self.waits = False
        self.is_saved = True


class StateOfSteps(keras.callbacks.Callback):
    """Keeps the state within epochs too.

    Args:
        state: the callback of the epochs.
        every: steps between states; 0 for none.
        last: step of the run after which it stops; 0 for none.
    """

    def __init__(self, state: RunState, every: int, last: int) -> None:
        super().__init__()
        self.state, self.every, self.last = state, every, last
        self.step = state.meta["step"]

    def on_train_batch_end(self, batch, logs=None):
        """Save after the steps that are asked for."""
        self.step += 1
        ends = self.last and self.step >= self.last
        is_due = ends or (self.every and self.step % self.every == 0)
        # The end of an epoch has its own state, once the epoch is evaluated.
        if not is_due or self.step % self.state.steps == 0:
            return
        if math.isfinite((logs or {}).get("loss", 0.0)):
            self.state.meta["step"] = self.step
            self.state.save()
        if ends:
            raise Stopped

    def on_epoch_end(self, epoch, logs=None):
        """Stop where the last step was an epoch's."""
        if self.last and self.step >= self.last:
            raise Stopped


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


def tensorboard(folder: pathlib.Path) -> list[keras.callbacks.Callback]:
    """Return Keras' TensorBoard callback, or say which package it lacks."""
    try:
        import tensorboard  # noqa: F401
        from tensorflow import summary  # noqa: F401
    except ImportError:
        _log.warning("TensorBoard logs need the packages tensorflow and tensorboard: none written")
        return []
    return [keras.callbacks.TensorBoard(str(folder))]


def nan_error(state: pathlib.Path | None) -> UsageError:
    """Return the error of a run whose loss or weights are no longer finite.

    Args:
        state: the run's last one; None if it has none yet.
    """
    remaining = f"The last good state is {str(state)!r}" if state else "No epoch was complete"
    return UsageError(
        "The loss must stay finite. Received: NaN or infinity, in the loss or the weights. "
        f"{remaining}. Lower optimizer.learning_rate or set optimizer.clip_norm=1"
    )
