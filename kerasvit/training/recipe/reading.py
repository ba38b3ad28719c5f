"""Training recipes: TOML files, read into the tables of `kerasvit.training.recipe.tables`."""

import dataclasses
import importlib.resources
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasvit.errors import InputError, UsageError
from kerasvit.fields import Rule, check_names, nearest, problem, read_table
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.images.rules import PREPROCESSING_RULES
from kerasvit.texts.printable import printable
from kerasvit.training.recipe.tables import CONVOLUTIONAL, Recipe
from kerasvit.untrusted.texts import read_toml

# Parts of a key beside its table's name: arguments of models hold no more.
_DEEPEST = 8

# What a run's folder calls the recipe that it follows.
RECIPE = "recipe.json"

# Arguments of a model that a run gives it, and who decides about them.
_CHOSEN_ELSEWHERE = {
    "attention": "a run makes no scores, and its file returns all",
    "dtype": "say run.precision",
    "name": "say model.name, and about.release for what comes out",
}


def read_recipe(source: str | os.PathLike, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe and change some of its values.

    Args:
        source: path of a TOML file, or the name of a recipe of the package, such as
            "cifar10_cait_nano"; see `list_recipes`.
        changes: texts `table.key=value`, the value as in TOML; quotes may be left out.

    Raises:
        InputError: if the file is missing or no TOML, or a table, key or value is wrong; the
            message names the closest key.
        UsageError: if a change is, likewise.
    """
    name = os.fspath(source)
    try:
        content = read_toml(_text(name))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name!r} is no TOML: {error}. Correct the file.") from error
    recipe = parse_recipe(content, repr(name))
    for change in changes:
        key, _, value = change.partition("=")
        place, _, field = key.strip().partition(".")
        if not (field and value) or field.count(".") > _DEEPEST:
            raise UsageError(
                f"A change is TABLE.KEY=VALUE. Received: --set {change[:200]!r}. "
                "For instance: --set optimizer.learning_rate=0.001"
            )
        content = _changed(content, place, field.split("."), _value(value.strip()))
    try:
        return parse_recipe(content, repr(name)) if changes else recipe
    except InputError as error:
        told = printable(" --set ".join(changes))
        raise UsageError(f"After --set {told}: {error}") from error


def parse_recipe(content: Mapping[str, Any], where: str = "the recipe") -> Recipe:
    """Make a recipe of nested tables.

    Args:
        content: as `tomllib` returns it.
        where: the recipe's name in messages.

    Raises:
        InputError: if a table, key or value is wrong.
    """
    defaults = Recipe()
    tables = {field.name: getattr(defaults, field.name) for field in dataclasses.fields(Recipe)}
    check_names(content, tables, where, "table")
    made = {}
    for name, table in tables.items():
        values = read_table(content.get(name, {}), _rules(table), f"{where}, table [{name}]")
        made[name] = dataclasses.replace(table, **values)
    recipe = Recipe(**made)
    _check_whole(recipe, where)
    return recipe


def list_recipes() -> list[str]:
    """Return the names of the package's recipes, sorted."""
    return sorted(
        path.name.removesuffix(".toml") for path in _folder().iterdir() if _is_recipe(path)
    )


def _folder():
    return importlib.resources.files("kerasvit.configs")


def _is_recipe(path) -> bool:
    # Files of release records lie beside the recipes.
    return path.name.endswith(".toml") and "[schedule]" in path.read_text(encoding="utf-8")


def _text(name: str) -> str:
    path = pathlib.Path(name)
    if path.suffix != ".toml":
        if name in list_recipes():
            return (_folder() / f"{name}.toml").read_text(encoding="utf-8")
        raise InputError(
            f"A recipe is a .toml file or one of {', '.join(list_recipes())}. Received: {name!r}."
            f"{nearest(name, list_recipes())}"
        )
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The recipe {name!r} cannot be read: {error.strerror}. Those of the package need no "
            f"path: {', '.join(list_recipes())}."
        ) from error


def _value(written: str) -> Any:
    try:
        return read_toml(f"value = {written}")["value"]
    except ValueError:
        return written


def _changed(content: Mapping[str, Any], place: str, keys: list[str], value: Any) -> dict:
    inner = content.get(place, {})
    inner = inner if isinstance(inner, Mapping) else {}
    new = value if len(keys) == 1 else _changed(inner, keys[0], keys[1:], value)[keys[0]]
    return {**content, place: {**inner, keys[0]: new}}


def _rules(table: Any) -> Mapping[str, Rule]:
    if isinstance(table, Preprocessing):
        return PREPROCESSING_RULES
    return {field.name: field.metadata["rule"] for field in dataclasses.fields(table)}


def _check_whole(recipe: Recipe, where: str) -> None:
    """Raise `InputError` where values that are each right contradict each other."""
    for rule, received in _contradictions(recipe):
        raise problem(where, rule, received)


def _contradictions(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    schedule, augmentation, distillation = recipe.schedule, recipe.augmentation, recipe.distillation
    if not recipe.model.name and not recipe.model.weights:
        yield "model.name must say which model trains", "nothing"
    for name, place in _CHOSEN_ELSEWHERE.items():
        if name in recipe.model.arguments:
            yield f"model.arguments cannot have {name!r}: {place}", recipe.model.arguments[name]
    total = sum(epochs for _, epochs in schedule.stages)
    if schedule.stages and total != schedule.epochs:
        yield "the epochs of schedule.stages must add up to schedule.epochs", total
    if schedule.warmup_epochs >= schedule.epochs and schedule.warmup_epochs:
        yield "schedule.warmup_epochs must be less than schedule.epochs", schedule.warmup_epochs
    if distillation.kind != "none" and not (distillation.teacher or distillation.cache):
        yield "distillation.teacher must be a release or a .keras file", "nothing"
    if distillation.logits_share and distillation.kind != "features":
        yield "distillation.logits_share goes with features", distillation.kind
    # The convolutional teacher is not trained where its tokens are there, and says no logits then.
    is_asked = distillation.teacher and not (
        distillation.teacher == CONVOLUTIONAL and distillation.cache
    )
    if distillation.logits_share and not (distillation.logits or is_asked):
        yield "distillation.logits must name a file of the teacher's logits", "nothing"
    sides = [side for side, _ in recipe.teacher.stages or [recipe.preprocessing.image_size]]
    if distillation.teacher == CONVOLUTIONAL and any(side % 8 for side in sides):
        yield "the convolutional teacher needs sides that eight divides", sides
    if distillation.kind == "features":
        mixes = augmentation.mixup or augmentation.cutmix
        if mixes or augmentation.crop in ("resized", "simple"):
            yield "features follow padded crops and flips alone", "mixing or other crops"


def as_written(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's tables as reading them back from a file gives them: lists for tuples."""
    return json.loads(json.dumps(recipe.to_dict()))
