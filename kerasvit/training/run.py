"""A whole training run, made from a recipe: data, model, optimiser, `fit`, files."""

import dataclasses
import functools
import json
import logging
import math
import os
import pathlib
import sys
from typing import Any

import keras

from kerasvit.errors import OutputError, UsageError
from kerasvit.files import atomic_path
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training import watching
from kerasvit.training.building import build_model, compile_model
from kerasvit.training.checkpoints import read_meta, restore_state
from kerasvit.training.datasets import Pictures, decode, load_cifar10, open_folders
from kerasvit.training.optimizers import averaged
from kerasvit.training.order import Order
from kerasvit.training.pipeline import MemoryBatches, Normaliser
from kerasvit.training.recipe_tables import Augmentation, Recipe
from kerasvit.training.teachers import with_teacher

STATE, BEST, MODEL, LOG, RECIPE = "state.npz", "best.keras", "model.keras", "log.csv", "recipe.json"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run ends with.

    Args:
        accuracy: share of the test pictures that the model gets right; None before the end.
        count: number of the test pictures.
        path: of the model, or of the state to go on from.
        step: how many steps the run has taken.
    """

    accuracy: float | None
    count: int
    path: pathlib.Path
    step: int


def train(
    recipe: Recipe,
    output: str | os.PathLike,
    *,
    resume: bool = False,
    overwrite: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> Result:
    """Train a model as a recipe says.

    The folder gets `recipe.json`, `log.csv`, `state.npz` (all that is needed to go on),
    `best.keras` and, at the end, `model.keras`; `attention/` and `tensorboard/` where the recipe
    asks for them.

    Args:
        recipe: see `kerasvit.training.recipes.read_recipe`.
        output: folder; it is made if missing.
        resume: whether to go on from the folder's state. The result is that of a run without
            interruption.
        overwrite: whether files of an earlier run are replaced.
        shard: `(number, count)` of this host among those that train together.

    Raises:
        InputError: if data, teacher or state are not what they should be.
        OutputError: if something cannot be written, or stands in the way.
        UsageError: if the recipe cannot be followed, or the loss is no longer finite.
    """
    return _Training(recipe, pathlib.Path(output), resume, overwrite, shard).run()


class _Training:
    """The parts of one run."""

    def __init__(self, recipe, output, resume, overwrite, shard) -> None:
        self.recipe, self.output, self.shard = recipe, output, shard
        self.replaces = resume or overwrite
        self.meta = self._begin(resume, overwrite)
        keras.utils.set_random_seed(recipe.run.seed)
        self.preprocessing = Preprocessing(**dataclasses.asdict(recipe.preprocessing))
        self.train, self.test = self._data()
        self.student = build_model(recipe, len(self.train.class_names))
        self.model, self.follow = with_teacher(
            self.student, recipe.distillation, self.preprocessing, self.train.images, output
        )
        self.order = Order(
            len(self.train),
            recipe.schedule.batch_size,
            recipe.run.seed,
            recipe.augmentation.repeats,
            shard,
        )
        compile_model(self.model, recipe, self.order.steps)
        self.resumed_from = None
        if resume:
            restore_state(output / STATE, self.model)
            self.resumed_from = output / STATE

    def _begin(self, resume: bool, overwrite: bool) -> dict[str, Any]:
        """Return what is known of an earlier part of this run, or start a new one."""
        state = self.output / STATE
        if resume:
            meta = read_meta(state)
            _check_same(self.recipe, meta["recipe"], state)
            return meta
        if not overwrite and (state.exists() or (self.output / RECIPE).exists()):
            raise OutputError(
                f"{str(self.output)!r} holds an earlier run, which is kept. "
                "Pass --resume to go on with it, --overwrite, or another folder with -o"
            )
        _make_folder(self.output)
        with atomic_path(self.output / RECIPE, overwrite=True) as temporary:
            temporary.write_text(json.dumps(self.recipe.to_dict(), indent=2) + "\n")
        return {"step": 0, "recipe": self.recipe.to_dict()}

    def _data(self) -> tuple[Pictures, Pictures]:
        data = self.recipe.data
        if data.dataset == "cifar10" and not data.path:
            train, test = load_cifar10(data)
            return train.resized(self.preprocessing), test.resized(self.preprocessing)
        train, test = open_folders(data)
        return decode(train, self.preprocessing, "training pictures"), decode(
            test, self.preprocessing, "test pictures"
        )

    def run(self) -> Result:
        """Train to the end, or to `run.max_steps`."""
        nan = watching.StopAtNaN()
        state = watching.RunState(
            self.output / STATE, self.order.steps, self.meta, self._save_best, self.resumed_from
        )
        log = watching.Log(self.output / LOG, self.meta["step"] // self.order.steps)
        callbacks = [nan, watching.AverageWeights(), log, state, *self._more_callbacks(state)]
        try:
            for size, first, last in self._segments():
                log.size = size
                self._fit(size, first, last, callbacks)
                if nan.found or self.model.stop_training:
                    raise watching.nan_error(self.output / STATE)
        except watching.Stopped:
            return Result(None, 0, self.output / STATE, self.recipe.run.max_steps)
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
        test = self.test.reduced(self.recipe.data.validation_limit).resized(preprocessing)
        batches = self._batches(preprocessing)
        self.model.fit(
            batches.from_step(first),
            steps_per_epoch=min(steps, last - first),
            initial_epoch=first // steps,
            epochs=math.ceil(last / steps),
            validation_data=(batches.normalise(test.images), test.labels),
            validation_batch_size=run.test_batch_size,
            validation_freq=run.evaluate_every,
            callbacks=callbacks,
            verbose=1 if sys.stderr.isatty() else 2,
        )

    def _batches(self, preprocessing: Preprocessing) -> MemoryBatches:
        pictures = self.train.resized(preprocessing)
        follow = self.follow
        if follow is not None:
            grid = self.student.token_layout(preprocessing.image_size).grid
            follow = functools.partial(follow, grid=grid)
        return MemoryBatches(
            pictures.images,
            pictures.labels,
            self.order,
            self._scaled(preprocessing.image_size[0]),
            preprocessing,
            len(pictures.class_names),
            self.student.patch_size[0],
            follow,
        )

    def _scaled(self, size: int) -> Augmentation:
        """Return the augmentation with movements in proportion to the size of the pictures."""
        given, patch = self.recipe.augmentation, self.student.patch_size[0]
        padding = round(given.padding * size / self.preprocessing.image_size[0])
        if given.whole_patches and given.padding:
            padding = max(round(padding / patch), 1) * patch
        return dataclasses.replace(given, padding=padding)

    def _more_callbacks(self, state: watching.RunState) -> list[keras.callbacks.Callback]:
        run, attention = self.recipe.run, self.recipe.attention
        found: list[keras.callbacks.Callback] = []
        if run.checkpoint_steps or run.max_steps:
            found.append(watching.StateOfSteps(state, run.checkpoint_steps, run.max_steps))
        if attention.every:
            from kerasvit.callbacks import AttentionCallback

            found.append(
                AttentionCallback(
                    self.test.reduced(attention.pictures).images,
                    self.output / "attention",
                    attention.every,
                    preprocessing=self.preprocessing,
                    overwrite=self.replaces,
                    model=self.student,
                )
            )
        return found + (_tensorboard(self.output / "tensorboard") if run.tensorboard else [])

    def _finish(self) -> Result:
        """Evaluate on all test pictures, and write the model."""
        images = Normaliser(self.preprocessing)(self.test.images)
        size = self.recipe.run.test_batch_size
        with averaged(self.model):
            figures = self.model.evaluate(
                images, self.test.labels, size, verbose=0, return_dict=True
            )
            accuracy = float(figures["accuracy"])
            self._save(self.output / MODEL, test_accuracy=accuracy, test_count=len(self.test))
        return Result(accuracy, len(self.test), self.output / MODEL, self.meta["step"])

    def _save_best(self, accuracy: float) -> None:
        self._save(self.output / BEST, validation_accuracy=accuracy)

    def _save(self, path: pathlib.Path, **figures: Any) -> None:
        """Write the model in float32, with all that it takes to use it."""
        about = self.recipe.about
        record = {
            "source": f"kerasvit train: {about.title or 'a recipe'}",
            "licence": about.licence,
            "preprocessing": self.preprocessing.to_dict(),
            "class_names": list(self.train.class_names),
            "recipe": self.recipe.to_dict(),
            **figures,
        }
        if about.release:
            record["release"] = about.release
        config = {**self.student.get_config(), "attention": "full", "record": record}
        kept = type(self.student).from_config({**config, "dtype": "float32"})
        kept.set_weights(self.student.get_weights())
        kept.save(path)


def _check_same(recipe: Recipe, saved: dict[str, Any], state: pathlib.Path) -> None:
    """Refuse to go on with another recipe; how a run is watched and stopped may change."""
    now = json.loads(json.dumps(recipe.to_dict()))
    for table, values in now.items():
        for key, value in values.items():
            if table in ("about", "attention", "run") and key not in ("seed", "precision"):
                continue
            if saved.get(table, {}).get(key) != value:
                raise UsageError(
                    f"A run goes on with its own recipe. Received: {table}.{key} = {value!r}, and "
                    f"{saved.get(table, {}).get(key)!r} in {str(state)!r}. Change it back"
                )


def _make_folder(folder: pathlib.Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {str(folder)!r} cannot be made: {error.strerror}. Choose another with -o"
        ) from error


def _tensorboard(folder: pathlib.Path) -> list[keras.callbacks.Callback]:
    try:
        import tensorboard  # noqa: F401
        from tensorflow import summary  # noqa: F401
    except ImportError:
        _log.warning("TensorBoard logs need the packages tensorflow and tensorboard: none written")
        return []
    return [keras.callbacks.TensorBoard(str(folder))]
