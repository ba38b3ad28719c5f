"""What a map explains: a class of each image, or the feature of a model without classes."""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.models.problem import SINGLE_LABEL, Problem

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

# So many names are shown all, where one is wrong.
_FEW_NAMES = 20
# Of two names, from which on one may be meant by the other; difflib's own is 0.6.
_LIKENESS = 0.55

Target = int | str | Sequence[int | str] | np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Objective:
    """The number that a map explains, for each image a weighted sum of the model's first output.

    Args:
        weights: `(B, K)`, float32: a one-hot row for a class; 1 or -1 for yes or no of one logit.
        classes: the class of each image, or None for a feature.
        problem: how the outputs are read; None: one class of several.
    """

    weights: np.ndarray
    classes: tuple[int, ...] | None
    problem: Problem | None = None

    @property
    def _problem(self) -> Problem:
        return self.problem or Problem(self.weights.shape[-1], SINGLE_LABEL)

    def of(self, logits: np.ndarray) -> np.ndarray:
        """Return the objective of each image, `(B,)`, for outputs `(B, K)` or `(n, K)` of one."""
        return (logits * self.weights).sum(axis=-1)

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Return the probability of the class instead; the objective itself for a feature.

        A regression has none: its value counts.
        """
        if self.classes is None:
            return self.of(logits)
        return self._problem.of_classes(self._problem.probabilities(logits), self.classes)

    def holds(self, logits: np.ndarray) -> np.ndarray:
        """Return where the class still comes first, or its label is given, for `(..., B, K)`.

        1.0 or 0.0; of a regression its value.
        """
        if self.classes is None or self._problem.is_regression:
            return self.of(logits)
        return self._problem.holds(logits, self.classes).astype(np.float32)

    def select(self, chosen: slice) -> "Objective":
        """Return the objective of some of the images."""
        classes = None if self.classes is None else self.classes[chosen]
        return Objective(self.weights[chosen], classes, self.problem)


def make_objective(model: "ScoreModel", logits: np.ndarray, target: Target = None) -> Objective:
    """Find out what each image's map explains.

    Args:
        model: a kerasvit model; its record may hold `class_names`.
        logits: `(B, K)`, its first output for the images.
        target: a class by number or by name (of one logit 0, no, or 1, yes; of a regression, one of
            the values); `"top1"`, the most probable one of each image; `"feature"`, the length of
            the output along its own direction, which needs no classes; a sequence with one of the
            classes for each image; or a float array `(B, K)`, a direction for each image, such as
            the feature of another picture. None: `"top1"`; the value of a regression of one;
            `"feature"` of one of several, and for a model without a head.

    Returns:
        The objective.

    Raises:
        InputError: if the sequence has another length, the directions another shape, or they or the
            outputs are not finite.
        UsageError: if there is no such class, or the model has no classes at all.
    """
    if not np.isfinite(logits).all():
        raise InputError(
            "The model's outputs must be finite to be explained. Received: NaN or infinity. "
            "Check the model's weights and its input."
        )
    if target is None:
        target = usual_target(model)
    if isinstance(target, str) and target == "feature":
        return _along(logits, logits.shape)
    if isinstance(target, np.ndarray) and target.dtype.kind == "f":
        return _along(target, logits.shape)
    if not model.num_classes:
        raise UsageError(
            "This model has no classes, only features. "
            f"Received: target={target!r}. Choose target='feature'."
        )
    problem = model.problem
    classes = _classes(problem, logits, target)
    return Objective(problem.directions(classes), classes, problem)


def usual_target(model: "ScoreModel") -> int | str:
    """Return what a model's maps explain where nobody says it, see `make_objective`."""
    if not model.num_classes:
        return "feature"
    problem = model.problem
    if problem.is_regression:
        return 0 if problem.num_outputs == 1 else "feature"
    return "top1"


def _along(directions: np.ndarray, shape: tuple[int, ...]) -> Objective:
    """Return the objective of outputs of a shape along directions, whose length does not matter."""
    if directions.shape != shape or not np.isfinite(directions).all():
        raise InputError(
            "Directions are finite, one for each image, as long as the model's output: shape "
            f"{shape}. Received: shape {directions.shape}, or NaN. Pass one row for each image."
        )
    lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
    return Objective((directions / np.maximum(lengths, 1e-12)).astype(np.float32), None)


def _classes(problem: Problem, logits: np.ndarray, target: Target) -> tuple[int, ...]:
    check_count(target, len(logits))
    if target is None or isinstance(target, str | int | np.integer):
        target = ["top1" if target is None else target] * len(logits)
    return tuple(
        _first_class(problem, row)
        if isinstance(wanted, str) and wanted == "top1"
        else find_class(wanted, problem.num_classes, problem.names)
        for row, wanted in zip(logits, target, strict=True)
    )


def _first_class(problem: Problem, logits: np.ndarray) -> int:
    if problem.is_regression:
        raise UsageError(
            "A regression has values, none of which comes first. Received: target='top1'. "
            f"Choose 'feature', or a number from 0 to {problem.num_outputs - 1}."
        )
    return int(problem.class_logits(logits).argmax())


def check_count(target: Target, count: int) -> None:
    """Raise `InputError` unless there is one target for all images, or one for each of `count`."""
    if target is None or isinstance(target, str | int | np.integer):
        return
    if not hasattr(target, "__len__"):
        raise UsageError(
            "A target is the name or number of a class, 'top1' or 'feature', or a list of these. "
            f"Received: target={target!r}. Pass a list, one for each image"
        )
    if len(target) != count:
        raise InputError(
            "There must be one target for each image, or one for all. "
            f"Received: {len(target)} targets for {count} images."
        )


def find_class(wanted: int | str, num_classes: int, names: Sequence[str] = ()) -> int:
    """Return the number of a class.

    Args:
        wanted: its number, also as text; or its name, or one of several names that commas separate
            (as in ImageNet's "tabby, tabby cat"), without regard to case.
        num_classes: how many there are.
        names: their names, if known.

    Raises:
        UsageError: if there is no such class, or several.
    """
    text = str(wanted).strip()
    if text.isascii() and text.isdigit():
        if int(text) < num_classes:
            return int(text)
    elif isinstance(wanted, str):
        found = [index for index, name in enumerate(names) if text.casefold() in _variants(name)]
        if len(found) == 1:
            return found[0]
    raise UsageError(
        f"There is no such class, or several. Received: target={wanted!r}. {_hint(text, names)}"
        f"Choose 'top1', 'feature', or a number from 0 to {num_classes - 1}."
    )


def _variants(name: str) -> set[str]:
    whole = name.casefold().strip()
    return {whole, *(part.strip() for part in whole.split(","))}


def _hint(text: str, names: Sequence[str]) -> str:
    """Return the names that are most like the text, and all of a few."""
    if not names:
        return "The model's record has no class names. "
    close = close_names(text, names)
    meant = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    return meant + (f"The names are {', '.join(names)}. " if len(names) <= _FEW_NAMES else "")


def close_names(text: str, names: Sequence[str], count: int = 5) -> list[str]:
    """Return the names that are most like a text: those that hold it as a word, then the closest.

    Args:
        text: what a user typed.
        names: of the classes; each may be several, separated by commas.
        count: how many at most.
    """
    wanted = text.casefold()
    words = [name for name in names if wanted in re.split(r"[^\w]+", name.casefold())]
    parts = {part: name for name in names for part in sorted(_variants(name))}
    close = [parts[part] for part in difflib.get_close_matches(wanted, parts, count, _LIKENESS)]
    inside = [name for name in names if len(wanted) > 2 and wanted in name.casefold()]
    return list(dict.fromkeys([*words, *close, *inside]))[:count]
