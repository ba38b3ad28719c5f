"""The work of fine-tuning: the run, and the two ways of learning."""

import dataclasses
import datetime
import os
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasvit import __version__
from kerasvit.errors import UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.models.base import ScoreModel
from kerasvit.training.compilation import jit_compile
from kerasvit.training.data.features import run_pictures
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.finetuning.batches import TrainingBatches
from kerasvit.training.finetuning.heads import set_head
from kerasvit.training.finetuning.layer_decay import layer_wise_rates
from kerasvit.training.finetuning.lora import enable_lora
from kerasvit.training.finetuning.settings import FineTuned, FineTuning
from kerasvit.training.finite import StopAtNaN, is_finite
from kerasvit.training.linear_probe import fit_decisions, fit_linear_probe, top_k_accuracy
from kerasvit.training.losses import LabelAccuracy, LabelCrossEntropy
from kerasvit.training.optimizers import make_optimizer
from kerasvit.training.schedules import warmup_cosine

# Peaks of the learning rate.
_RATES = {"full": 2e-4, "lora": 2e-3}
_WARMUP_SHARE = 0.1


class Run:
    """One run: what it works on, and the best model so far.

    Args:
        model: with its new head.
        folder: the pictures to learn from.
        settings: how it learns.
        validation: held-out pictures; None for none.
        output: the file of the best model; None for no file.
        overwrite: whether an existing file is replaced.
        report: called with a line for each epoch; None to say nothing.
    """

    def __init__(
        self,
        model: ScoreModel,
        folder: PictureFolder,
        settings: FineTuning,
        *,
        validation: PictureFolder | None = None,
        output: str | os.PathLike | None = None,
        overwrite: bool = False,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.result = FineTuned(model)
        self.report = report or (lambda line: None)
        self.folder, self.validation, self.settings = folder, validation, settings
        self.output, self.overwrite = output, overwrite
        self.preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
        self.view = model.classifying()
        self.started = time.perf_counter()
        self.best: list[np.ndarray] = []

    def seconds(self) -> float:
        """Return the time since the run began."""
        return round(time.perf_counter() - self.started, 2)

    def validate(self) -> float | None:
        """Return the accuracy on the held-out pictures, of many labels that of the decisions.

        None if there are none.
        """
        if self.validation is None:
            return None
        batch_size = self.settings.batch_size
        outputs, read = run_pictures(self.view, self.preprocessing, self.validation, batch_size)
        return self.accuracy(outputs, self.validation.labels[read])

    def accuracy(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of the pictures, or of the decisions about labels, that are right."""
        problem = self.result.model.problem
        if problem.has_many_labels or labels.ndim == 2:
            return float(((logits > 0) == (labels > 0)).mean())
        return top_k_accuracy(problem.class_logits(logits), labels)

    def epoch_ends(self, **figures: float) -> None:
        """Note an epoch, and keep the model if it is the best one."""
        accuracy = self.validate()
        if accuracy is not None:
            figures["val_accuracy"] = round(accuracy, 5)
        figures["seconds"] = self.seconds()
        self.result.history.append(figures)
        self.report(", ".join(f"{name} {value:.5g}" for name, value in figures.items()))
        best = self.result.accuracy
        if accuracy is None or best is None or accuracy > best:
            self.result.accuracy = accuracy
            self._keep(figures)

    def _keep(self, figures: dict[str, float]) -> None:
        model = self.result.model
        weights = model.trainable_weights
        # Copies: what Keras returns may be the memory that training goes on in.
        self.best = [np.array(keras.ops.convert_to_numpy(weight)) for weight in weights]
        model.record["finetuning"] = self._facts(figures)
        if self.output is not None:
            model.save(self.output, overwrite=self.overwrite)
            self.overwrite = True  # from now on it is ours

    def _facts(self, figures: dict[str, float]) -> dict[str, Any]:
        settings = dataclasses.asdict(self.settings)
        if self.settings.method == "frozen":
            settings = {name: settings[name] for name in ("method", "seed")}
        return {
            **settings,
            "pictures": len(self.folder),
            "held_out": len(self.validation) if self.validation is not None else 0,
            "figures": figures,
            "date": datetime.date.today().isoformat(),
            "version": __version__,
        }

    def restore_best(self) -> None:
        """Give the model the weights of its best epoch."""
        weights = self.result.model.trainable_weights
        for weight, value in zip(weights, self.best, strict=True):
            weight.assign(value)


def fit_head(run: Run) -> None:
    """Make the best linear classifier of the model's features its head."""
    folder, settings = run.folder, run.settings
    backbone = run.result.model.headless()
    features, read = run_pictures(backbone, run.preprocessing, folder, settings.batch_size)
    features = features.reshape(len(features), -1)
    labels, num_classes = folder.labels[read], len(folder.class_names)
    is_decision = run.result.model.problem.is_binary or folder.has_many_labels
    if is_decision:
        probe = fit_decisions(features, labels.reshape(len(labels), -1), settings.seed)
    else:
        probe = fit_linear_probe(features, labels, num_classes, seed=settings.seed)
    set_head(run.result.model, probe)
    accuracy = run.accuracy(probe.logits(features), labels)
    run.epoch_ends(epoch=0, accuracy=round(accuracy, 5))


def train(run: Run) -> None:
    """Train by gradient descent, from the best linear classifier on.

    Source of the order, head first: Kumar et al. 2022 (https://arxiv.org/abs/2202.10054).
    """
    model, settings = run.result.model, run.settings
    if settings.method == "lora":
        enable_lora(model, settings.lora_rank, settings.seed)
    batches = TrainingBatches(
        run.folder,
        run.preprocessing,
        batch_size=settings.batch_size,
        seed=settings.seed,
        smallest_crop=settings.smallest_crop,
        flip=settings.flip,
        workers=2,
    )
    run.view.compile(
        _optimizer(model, settings, len(batches) * settings.epochs),
        LabelCrossEntropy(settings.label_smoothing, independent=run.folder.has_many_labels),
        metrics=[LabelAccuracy(independent=run.folder.has_many_labels)],
        jit_compile=jit_compile(),
    )
    fit_head(run)
    stop = StopAtNaN()
    for epoch in range(settings.epochs):
        span = {"initial_epoch": epoch, "epochs": epoch + 1}
        fitted = run.view.fit(batches, **span, verbose=0, callbacks=[stop])
        if stop.found or not is_finite(run.view):
            raise _nan_error(run)
        figures = {name: round(float(values[-1]), 5) for name, values in fitted.history.items()}
        run.epoch_ends(epoch=epoch + 1, **figures)
    run.restore_best()


def _optimizer(model: ScoreModel, settings: FineTuning, steps: int):
    peak = settings.learning_rate or _RATES[settings.method]
    decays = settings.method == "full" and settings.layer_decay < 1
    return make_optimizer(
        model,
        warmup_cosine(peak, steps, int(_WARMUP_SHARE * steps)),
        weight_decay=settings.weight_decay,
        rates=layer_wise_rates(model, settings.layer_decay) if decays else None,
        clip_norm=1.0,
    )


def _nan_error(run: Run) -> UsageError:
    is_written = run.output is not None and run.best
    state = (
        f"{str(run.output)!r} holds the best model so far" if is_written else "Nothing is written"
    )
    return UsageError(
        "The loss must stay finite. "
        f"Received: NaN or infinity in epoch {len(run.result.history)}. {state}. "
        "Lower the learning rate: --learning-rate"
    )
