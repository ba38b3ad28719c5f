"""The rule engine: a table of rules proved to be a bijection before a single weight is assigned."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping
from typing import Protocol

import keras
import numpy as np

from kerasvit.conversion.names.transforms import CONV, LINEAR, SAME, Kind, Rule
from kerasvit.errors import InputError

__all__ = [
    "CONV",
    "LINEAR",
    "SAME",
    "Assignment",
    "Kind",
    "Layout",
    "Rule",
    "assign",
    "variables_by_path",
]


class TensorSource(Protocol):
    """What the engine reads from: a `Checkpoint`, or anything with the same four methods."""

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a tensor as a float32 array."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor without reading it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tensors."""

    @property
    def label(self) -> str:
        """What errors call the source."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a family of checkpoints names its tensors.

    Args:
        name: what records and errors call it.
        rules: rules for every variable that a model of the family may have.
        ignored: patterns of source names that are left out, each with the reason.
    """

    name: str
    rules: tuple[Rule, ...]
    ignored: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def for_model(self, model: keras.Model) -> list[Rule]:
        """Return the rules of the variables that this model has, in the order of the table.

        Raises:
            InputError: if a variable of the model has no rule.
        """
        paths = variables_by_path(model)
        expanded: dict[str, Rule] = {}
        for rule in self.rules:
            for one in _expand(rule, getattr(model, "num_layers", 0) + 1):
                if one.target in paths:
                    # A later rule of a target replaces an earlier one, and its place.
                    expanded.pop(one.target, None)
                    expanded[one.target] = one
        missing = [path for path in paths if path not in expanded]
        if missing:
            raise InputError(
                f"The layout {self.name!r} has no tensor for every weight of {model.name!r}. "
                f"Received: a model with {_listing(missing)}. Choose the model that the file holds"
            )
        return list(expanded.values())


@dataclasses.dataclass(frozen=True)
class Assignment:
    """What `assign` did, for the record.

    Args:
        num_source_tensors: how many tensors of the source were used.
        num_variables: how many Keras variables were assigned.
        dropped: source tensors left out, each with the reason.
    """

    num_source_tensors: int
    num_variables: int
    dropped: dict[str, str]


def variables_by_path(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the weights of a model by their path below the model's own name."""
    return {variable.path.split("/", 1)[1]: variable for variable in model.weights}


def assign(
    model: keras.Model,
    source: TensorSource,
    layout: Layout,
    drop: Mapping[str, str] | None = None,
    keep: Iterable[str] = (),
) -> Assignment:
    """Assign every weight of a model from a source, after proving that all of it fits.

    The proof: each source tensor is used once or dropped for a stated reason, each variable is
    assigned once, and the shapes are equal. Then the values are read one by one, refused unless
    finite, and assigned.

    Args:
        model: a built model.
        source: an unwrapped checkpoint.
        layout: how the source names its tensors.
        drop: further source names to leave out, each with the reason.
        keep: paths of variables that keep the values they have.

    Returns:
        What was done.

    Raises:
        InputError: if anything is missing, left over, misshapen or not finite; the model is then
            only changed where the source's values turn out to be unreadable.
    """
    rules, dropped = prove(model, source, layout, drop, keep)
    variables = variables_by_path(model)
    for rule in rules:
        arrays = [source[name] for name in rule.sources]
        variables[rule.target].assign(np.ascontiguousarray(rule.kind.forward(*arrays)))
    used = {name for rule in rules for name in rule.sources}
    return Assignment(len(used), len(rules), dropped)


def prove(
    model: keras.Model,
    source: TensorSource,
    layout: Layout,
    drop: Mapping[str, str] | None = None,
    keep: Iterable[str] = (),
) -> tuple[list[Rule], dict[str, str]]:
    """Return the rules that fill a model and the source tensors left out, if all of it fits.

    Names and shapes decide; no value is read, and the model's weights need no values yet.

    Args:
        model, source, layout, drop, keep: see `assign`.

    Raises:
        InputError: if anything is missing, left over or misshapen.
    """
    kept = set(keep)
    rules = [rule for rule in layout.for_model(model) if rule.target not in kept]
    used = [name for rule in rules for name in rule.sources]
    dropped = _dropped(source.names, layout.ignored, drop or {}, used)
    _check_names(source, used, dropped, model)
    _check_shapes(source, rules, variables_by_path(model), model)
    return rules, dropped


def _expand(rule: Rule, count: int) -> list[Rule]:
    if "{i" not in rule.target:
        return [rule]
    return [rule.at(index) for index in range(count)]


def _dropped(names, ignored, drop, used):
    reasons = {**ignored, **drop}
    taken = set(used)
    return {
        name: reason
        for name in names
        if name not in taken
        for pattern, reason in reasons.items()
        if fnmatch.fnmatchcase(name, pattern)
    }


def _check_names(source, used, dropped, model):
    names = set(source.names)
    missing = [name for name in dict.fromkeys(used) if name not in names]
    extra = [name for name in source.names if name not in set(used) | set(dropped)]
    if not missing and not extra:
        return
    parts = []
    if missing:
        parts.append(f"missing {_listing(missing)}")
    if extra:
        parts.append(f"left over {_listing(extra)}")
    raise InputError(
        f"{source.label} does not hold the weights of {model.name!r}: every tensor must be used "
        f"once. Received: {'; '.join(parts)}. {_advice(missing, extra)}"
    )


def _advice(missing: list[str], extra: list[str]) -> str:
    if not missing and all(name.startswith("head") for name in extra):
        return (
            "Its head is more than one linear layer on the feature: take the backbone alone, with "
            "num_classes=0 or --num-classes 0"
        )
    return "Choose the model that the file holds (-m)"


def _check_shapes(source, rules, variables, model):
    for rule in rules:
        shapes = [tuple(source.shape(name)) for name in rule.sources]
        wanted = tuple(variables[rule.target].shape)
        try:
            received = tuple(rule.kind.shape(*shapes))
        except (IndexError, ValueError):
            received = None
        if received != wanted:
            named = ", ".join(
                f"{name} {shape}" for name, shape in zip(rule.sources, shapes, strict=True)
            )
            raise InputError(
                f"{source.label} does not fit {model.name!r}: {rule.target} has the shape {wanted}."
                f" Received: {named}. Choose the model that the file holds (-m)"
            )


def _listing(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return f"{len(names)} ({shown}{', ...' if len(names) > 10 else ''})"
