"""The files of a run's folder: what stands there, and what may be written."""

import json
import os
import pathlib
from typing import Any

from kerasvit.errors import OutputError, UsageError
from kerasvit.files import atomic_path, make_folder
from kerasvit.models.base import ScoreModel
from kerasvit.training.distribution import is_first_host
from kerasvit.training.recipe.reading import RECIPE, as_written
from kerasvit.training.recipe.tables import Recipe
from kerasvit.training.run.checkpoints import read_meta

STATE, BEST, MODEL, LOG = "state.npz", "best.keras", "model.keras", "log.csv"

# How a run is watched and stopped may change on the way, but for what changes its numbers.
_MAY_CHANGE = ("about", "attention", "run")
_MAY_NOT = ("seed", "precision")
# Values that may be paths.
_FILES = (
    *(("data", "path"), ("model", "weights")),
    *(("distillation", name) for name in ("teacher", "cache", "logits")),
)


def prepare(recipe: Recipe, folder: pathlib.Path, resume: bool, overwrite: bool) -> dict[str, Any]:
    """Return what is known of an earlier part of this run, and see that a new one may start.

    Args:
        recipe: what will be followed.
        folder: of the run.
        resume: whether to go on.
        overwrite: whether files of an earlier run are replaced.

    Returns:
        The meta data of the state: "step" and "recipe", and "best" where there is one.

    Raises:
        InputError: if there is nothing to go on from.
        OutputError: if the folder holds an earlier run, or cannot be made.
        UsageError: if the earlier part followed another recipe.
    """
    state = folder / STATE
    if resume and overwrite:
        raise UsageError(
            "A run goes on, or starts anew. Received: --resume and --overwrite (resume=True and "
            "overwrite=True). Choose one"
        )
    if resume:
        meta = read_meta(state)
        _check_same(recipe, meta["recipe"], state)
        return meta
    if not overwrite and holds_run(folder):
        raise OutputError(
            f"{str(folder)!r} holds an earlier run, which is kept. "
            "Pass --resume to go on with it, --overwrite, or another folder with -o"
        )
    if is_first_host():
        make_folder(folder)
    return {"step": 0, "recipe": recipe.to_dict()}


def holds_run(folder: pathlib.Path) -> bool:
    """Tell whether a folder holds an earlier run, or a part of one."""
    return any(os.path.exists(folder / name) for name in (STATE, MODEL))


def write_recipe(recipe: Recipe, folder: pathlib.Path) -> None:
    """Write down what is followed, once the folder holds nothing else, or a state of this run.

    Raises:
        OutputError: if the folder cannot be written to.
    """
    if is_first_host():
        with atomic_path(folder / RECIPE, overwrite=True) as temporary:
            temporary.write_text(json.dumps(recipe.to_dict(), indent=2) + "\n")


def remove_others(folder: pathlib.Path, meta: dict[str, Any]) -> None:
    """Remove what this run has not replaced of an earlier one's: the best model, if it has none.

    Args:
        folder: of the run, whose model is written.
        meta: of its state.
    """
    if is_first_host() and "best" not in meta:
        (folder / BEST).unlink(missing_ok=True)


def portable(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's tables without the folders of this machine: files by their names alone."""
    tables = recipe.to_dict()
    for table, key in _FILES:
        tables[table][key] = pathlib.PurePath(tables[table][key]).name
    return tables


def write_model(model: ScoreModel, record: dict[str, Any], path: pathlib.Path) -> None:
    """Write a model's weights as a float32 model that returns all scores.

    Args:
        model: in training.
        record: what the file says of itself.
        path: ends in `.keras`; an existing file is replaced.

    Raises:
        OutputError: if it cannot be written.
    """
    config = {**model.get_config(), "attention": "full", "record": record, "dtype": "float32"}
    written = type(model).from_config(config)
    written.set_weights(model.get_weights())
    written.save(path)


def _check_same(recipe: Recipe, saved: dict[str, Any], state: pathlib.Path) -> None:
    for table, values in as_written(recipe).items():
        for key, value in values.items():
            if table in _MAY_CHANGE and key not in _MAY_NOT:
                continue
            before = saved.get(table, {}).get(key)
            if before != value:
                raise UsageError(
                    f"A run goes on with its own recipe. Received: {table}.{key} = {value!r}, and "
                    f"{before!r} in {str(state)!r}. Change it back"
                )
