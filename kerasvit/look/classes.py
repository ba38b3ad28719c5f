"""What a model takes a picture for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasvit.errors import InputError
from kerasvit.models.problem import THRESHOLD
from kerasvit.saliency.request import model_outputs

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


class Prediction(NamedTuple):
    """One class of a picture.

    Args:
        number: of the class.
        name: what it is called, or `"class 7"`.
        probability: in [0, 1]; of a regression the value itself.
    """

    number: int
    name: str
    probability: float


def predictions(
    model: "ScoreModel", pixels: np.ndarray, count: int, threshold: float = THRESHOLD
) -> list[Prediction]:
    """Return the most probable classes of one picture.

    Args:
        model: a model with a head, in the mode "none".
        pixels: `(h, w, 3)`, prepared as for evaluation.
        count: as for `top_classes`.
        threshold: as for `top_classes`.

    Raises:
        InputError: if the model's outputs are not finite.
    """
    return top_classes(model, model_outputs(model, pixels[None])[0], count, threshold)


def top_classes(
    model: "ScoreModel", logits: np.ndarray, count: int, threshold: float = THRESHOLD
) -> list[Prediction]:
    """Return the most probable classes of one image's logits, or the values of a regression.

    Args:
        model: the model, whose record may hold class names and the problem type.
        logits: float array `(K,)`.
        count: how many at most; a regression's values are all returned, in their own order.
        threshold: of many labels, those from this probability on; the most probable one in any
            case.

    Raises:
        InputError: if the logits are not finite.
    """
    if not np.isfinite(logits).all():
        raise InputError(
            "The model's outputs must be finite. Received: NaN or infinity. "
            "Check the model's weights and its input"
        )
    problem = model.problem
    values = problem.probabilities(logits)
    order = np.arange(len(values))
    if not problem.is_regression:
        order = np.argsort(-values, kind="stable")[:count]
    if problem.has_many_labels:
        order = order[: max(1, int((values[order] >= threshold).sum()))]
    return [
        Prediction(index, problem.name(index), float(values[index])) for index in order.tolist()
    ]


def class_name(model: "ScoreModel", index: int) -> str:
    """Return what a class of a model is called."""
    return model.problem.name(index)


def describe(classes: Sequence[Prediction]) -> str:
    """Return classes and probabilities in one line."""
    return ", ".join(f"{name} {probability:.1%}" for _, name, probability in classes)


def describe_outcome(
    model: "ScoreModel", found: Sequence[Prediction], threshold: float = THRESHOLD
) -> str:
    """Return in one line what `predictions` found, whatever kind of head the model has."""
    problem = model.problem
    if problem.is_regression:
        return ", ".join(f"{name} {value:.6g}" for _, name, value in found)
    if problem.has_many_labels and found[0].probability < threshold:
        return f"no label from {threshold:.0%} on; the most probable: {describe(found)}"
    return describe(found)
