"""What a model takes a picture for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasvit.errors import InputError
from kerasvit.numerics import softmax
from kerasvit.saliency.request import model_outputs

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


class Prediction(NamedTuple):
    """One class of a picture.

    Args:
        number: of the class.
        name: what it is called, or `"class 7"`.
        probability: in [0, 1].
    """

    number: int
    name: str
    probability: float


def predictions(model: "ScoreModel", pixels: np.ndarray, count: int) -> list[Prediction]:
    """Return the most probable classes of one picture.

    Args:
        model: a model with a head, in the mode "none".
        pixels: `(h, w, 3)`, prepared as for evaluation.
        count: how many classes.

    Raises:
        InputError: if the model's outputs are not finite.
    """
    return top_classes(model, model_outputs(model, pixels[None])[0], count)


def top_classes(model: "ScoreModel", logits: np.ndarray, count: int) -> list[Prediction]:
    """Return the most probable classes of one image's logits.

    Args:
        model: the model, whose record may hold class names.
        logits: float array `(K,)`.
        count: how many.

    Raises:
        InputError: if the logits are not finite.
    """
    if not np.isfinite(logits).all():
        raise InputError(
            "The model's outputs must be finite. Received: NaN or infinity. "
            "Check the model's weights and its input"
        )
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, kind="stable")[:count].tolist()
    return [
        Prediction(index, class_name(model, index), float(probabilities[index])) for index in order
    ]


def class_name(model: "ScoreModel", index: int) -> str:
    """Return what a class of a model is called."""
    names = model.record.get("class_names") or []
    return names[index] if index < len(names) else f"class {index}"


def describe(classes: Sequence[Prediction]) -> str:
    """Return classes and probabilities in one line."""
    return ", ".join(f"{name} {probability:.1%}" for _, name, probability in classes)
