"""Fitting some steps of a run: what the model and its teacher have in common."""

import math
import sys
from collections.abc import Sequence

import keras

from kerasvit.training.data.in_memory import BatchSource, Steps
from kerasvit.training.distribution import is_first_host


def fit_steps(
    model: keras.Model,
    batches: BatchSource,
    first: int,
    last: int,
    epoch_steps: int,
    tests: keras.utils.PyDataset,
    *,
    evaluate_every: int = 1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Fit a model to some steps of a run, as epochs of the run.

    Args:
        model: compiled.
        batches: those of the whole run.
        first: number of the first step of the run, counted from 0.
        last: number of the step after the last.
        epoch_steps: steps of an epoch of the run; fewer are fitted where there are fewer.
        tests: what is evaluated.
        evaluate_every: epochs.
        callbacks: of the run.
    """
    dataset = Steps(batches, first, last)
    model.fit(
        dataset,
        steps_per_epoch=min(epoch_steps, last - first),
        initial_epoch=first // epoch_steps,
        epochs=math.ceil(last / epoch_steps),
        validation_data=tests,
        validation_freq=evaluate_every,
        shuffle=False,
        callbacks=list(callbacks),
        verbose=_verbosity(),
    )
    dataset.close()


def _verbosity() -> int:
    """Return Keras' `verbose`: a bar on a terminal, else a line an epoch; the first host's."""
    if not is_first_host():
        return 0
    return 1 if sys.stderr.isatty() else 2
