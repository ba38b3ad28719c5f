"""Callbacks of a run: its log, its state and best model on disk, averages, the end at NaN."""

import contextlib
import logging
import math
import pathlib
from collections.abc import Callable
from typing import Any

import keras

from kerasvit.errors import UsageError
from kerasvit.training.distribution import is_first_host
from kerasvit.training.finite import is_finite
from kerasvit.training.optimizers import averaged
from kerasvit.training.run.checkpoints import restore_metrics, save_state
from kerasvit.training.run.generators import generator_states, set_generator_states
from kerasvit.training.run.log import Log

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
