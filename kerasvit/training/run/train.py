"""A whole training run, made from a recipe: data, model, optimiser, `fit`, files."""

import dataclasses
import functools
import math
import os
import pathlib
from typing import Any

import keras

from kerasvit.backend import require_gradients
from kerasvit.training.data.order import Order
from kerasvit.training.data.recipe_data import RunData, scaled
from kerasvit.training.distillation.teachers import with_teacher
from kerasvit.training.distribution import (
    Distribution,
    check_batch,
    data_shard,
    distributed,
    is_first_host,
)
from kerasvit.training.finite import StopAtNaN
from kerasvit.training.fitting import fit_steps
from kerasvit.training.optimizers import averaged
from kerasvit.training.recipe.tables import Recipe
from kerasvit.training.run import watching
from kerasvit.training.run.building import build_model, compile_model
from kerasvit.training.run.checkpoints import restore_state
from kerasvit.training.run.files import (
    BEST,
    LOG,
    MODEL,
    STATE,
    holds_run,
    portable,
    prepare,
    remove_others,
    write_model,
    write_recipe,
)
from kerasvit.training.run.log import Log, earlier_rows


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run ends with.

    Args:
        accuracy: share of the test pictures that the model gets right; None before the end.
        count: number of the test pictures.
        path: of the model, or of the state to go on from.
        step: how many steps the run has taken.
        broken: how many pictures could not be read and were left out.
    """

    accuracy: float | None
    count: int
    path: pathlib.Path
    step: int
    broken: int = 0


def train(
    recipe: Recipe,
    output: str | os.PathLike,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Result:
    """Train a model as a recipe says.

    The folder gets `recipe.json`, `log.csv`, `state.npz` (all that is needed to go on),
    `best.keras` and, at the end, `model.keras`; `attention/` and `tensorboard/` where the recipe
    asks for them.

    Args:
        recipe: see `kerasvit.training.recipe.reading.read_recipe`.
        output: folder; it is made if missing.
        resume: whether to go on from the folder's state. The result is that of a run without
            interruption.
        overwrite: whether files of an earlier run are replaced, each once its replacement is
            whole: a run that fails before its first state leaves the earlier one as it was.

    Raises:
        InputError: if data, teacher or state are not what they should be.
        OutputError: if something cannot be written, or stands in the way.
        UsageError: if the recipe cannot be followed, or the loss is no longer finite.
    """
    require_gradients("Training")
    kind = recipe.run.distribution
    with distributed(None if kind == "none" else kind) as distribution:
        return _Training(recipe, pathlib.Path(output), resume, overwrite, distribution).run()


class _Training:
    """The parts of one run."""

    def __init__(self, recipe, output, resume, overwrite, distribution) -> None:
        self.recipe, self.output = recipe, output
        self.replaces = resume or overwrite
        self.meta = prepare(recipe, output, resume, overwrite)
        keras.utils.set_random_seed(recipe.run.seed)
        self.preprocessing = recipe.preprocessing
        self.data = RunData(recipe.data, self.preprocessing)
        self.student = build_model(recipe, len(self.data.class_names))
        self.model, self.follow = with_teacher(
            self.student, recipe, self.preprocessing, self.data, output
        )
        self.order = self._order(distribution)
        compile_model(self.model, recipe, self.order.steps)
        # What an earlier run left stays until this one has a state of its own.
        self.waits = not resume and holds_run(output)
        if resume:
            restore_state(output / STATE, self.model)
        if not self.waits:
            write_recipe(recipe, output)

    def _order(self, distribution: Distribution | None) -> Order:
        """Return this host's part of the pictures of each step."""
        recipe, shard = self.recipe, data_shard(distribution)
        size, tests = recipe.schedule.batch_size, recipe.run.test_batch_size
        rest = [len(self.data.test) % tests, recipe.data.validation_limit % tests]
        check_batch(distribution, size // shard[1], min(tests, len(self.data.test)), *rest)
        repeats = recipe.augmentation.repeats
        return Order(len(self.data), size, recipe.run.seed, repeats, shard)

    def run(self) -> Result:
        """Train to the end, or to `run.max_steps`."""
        nan = StopAtNaN()
        # Metrics are those of an epoch: only one that was interrupted goes on with its own.
        interrupted = self.output / STATE if self.meta["step"] % self.order.steps else None
        state = watching.RunState(
            self.output / STATE, self.order.steps, self.meta, self._save_best, interrupted
        )
        state.waits = self.waits
        if self.waits:
            state.after_first = functools.partial(write_recipe, self.recipe, self.output)
        done = self.meta["step"] // self.order.steps
        rows = earlier_rows(self.output / LOG, self.meta, done)
        state.log = log = Log(self.output / LOG, rows)
        callbacks = [nan, watching.AverageWeights(), log, state, *self._more_callbacks(state)]
        if self.meta.pop(watching.BEST_FOLLOWS, False):
            with averaged(self.model):
                self._save_best(self.meta["best"])
        try:
            for size, first, last in self._segments():
                log.size = size
                self._fit(size, first, last, callbacks)
                if nan.found or self.model.stop_training:
                    raise watching.nan_error(self.output / STATE if state.is_saved else None)
        except watching.Stopped:
            done = self.recipe.run.max_steps
            return Result(None, 0, self.output / STATE, done, self.data.broken)
        return self._finish()

    def _segments(self):
        """Yield image size, first and last step of what is still to do, as `fit` can do it."""
        schedule, steps = self.recipe.schedule, self.order.steps
        size = self.preprocessing.image_size[0]
        done, end = self.meta["step"], 0
        for side, epochs in schedule.stages or ((size, schedule.epochs),):
            start, end = max(end, done), end + epochs * steps
            # An epoch that was interrupted is fitted alone: its length differs.
            whole = min(math.ceil(start / steps) * steps, end)
            for first, last in ((start, whole), (whole, end)):
                if first < last:
                    yield side, first, last

    def _fit(self, size: int, first: int, last: int, callbacks: list) -> None:
        steps, run = self.order.steps, self.recipe.run
        preprocessing = dataclasses.replace(self.preprocessing, image_size=(size, size))
        share = size / self.preprocessing.image_size[0]
        follow = self.follow
        if follow is not None:
            grid = self.student.token_layout(preprocessing.image_size).grid
            follow = functools.partial(follow, grid=grid)
        batches = self.data.batches(
            self.order, scaled(self.recipe.augmentation, share), preprocessing, follow
        )
        limit = self.recipe.data.validation_limit
        tests = self.data.tests(preprocessing, run.test_batch_size, limit)
        if first % steps:
            # TensorFlow makes its metrics in the first step, too late to be given values.
            self.model.evaluate(tests, steps=1, verbose=0)
        fit_steps(
            self.model,
            batches,
            first,
            last,
            epoch_steps=steps,
            tests=tests,
            evaluate_every=run.evaluate_every,
            callbacks=callbacks,
        )

    def _more_callbacks(self, state: watching.RunState) -> list[keras.callbacks.Callback]:
        run, attention = self.recipe.run, self.recipe.attention
        found: list[keras.callbacks.Callback] = []
        if run.checkpoint_steps or run.max_steps:
            found.append(watching.StateOfSteps(state, run.checkpoint_steps, run.max_steps))
        if attention.every and is_first_host():
            from kerasvit.callbacks import AttentionCallback

            found.append(
                AttentionCallback(
                    self.data.examples(attention.pictures),
                    self.output / "attention",
                    attention.every,
                    preprocessing=self.preprocessing,
                    overwrite=self.replaces,
                    model=self.student,
                )
            )
        if run.tensorboard and is_first_host():
            found += watching.tensorboard(self.output / "tensorboard")
        return found

    def _finish(self) -> Result:
        """Evaluate on all test pictures, and write the model."""
        tests = self.data.tests(self.preprocessing, self.recipe.run.test_batch_size)
        path, count = self.output / MODEL, len(self.data.test)
        with averaged(self.model):
            figures = self.model.evaluate(tests, verbose=0, return_dict=True)
            accuracy = float(figures["accuracy"])
            self._save(path, test_accuracy=accuracy, test_count=count)
        remove_others(self.output, self.meta)
        return Result(accuracy, count, path, self.meta["step"], self.data.broken)

    def _save_best(self, accuracy: float) -> None:
        self._save(self.output / BEST, validation_accuracy=accuracy)

    def _save(self, path: pathlib.Path, **figures: Any) -> None:
        """Write the model in float32, with all that it takes to use it."""
        if not is_first_host():
            return
        about, own = self.recipe.about, self.student.record
        record = {
            "source": f"kerasvit train: {about.title or 'a recipe'}",
            "licence": about.licence,
            "preprocessing": self.preprocessing.to_dict(),
            "class_names": list(self.data.class_names),
            **{name: own[name] for name in ("problem_type",) if name in own},
            "recipe": portable(self.recipe),
            **figures,
        }
        if about.release:
            record["release"] = about.release
        write_model(self.student, record, path)
