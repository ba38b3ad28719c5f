"""Keras' plain forms of a model: Functional models that share its weights."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


def classifier(model: "ScoreModel", image_shape: tuple[int, ...] | None) -> keras.Model:
    """Return the Functional model of `ScoreModel.classifier`."""
    overrides = {"distillation_output": "average"} if model.is_distilled else {}
    view = model.with_attention("none", **overrides)
    return _functional(view, image_shape, "classifier", lambda outputs: outputs[0])


def with_scores(view: "ScoreModel", image_shape: tuple[int, ...] | None) -> keras.Model:
    """Return the Functional model of `ScoreModel.functional`, of a view in the wanted mode."""
    return _functional(view, image_shape, "functional", _flat)


def _flat(outputs: tuple[Any, dict, dict]) -> dict[str, Any]:
    logits, sa_scores, ca_scores = outputs
    return {"logits": logits, **sa_scores, **ca_scores}


def _functional(
    view: "ScoreModel",
    image_shape: tuple[int, ...] | None,
    suffix: str,
    chosen: Callable[[tuple[Any, dict, dict]], Any],
) -> keras.Model:
    shape = (*(image_shape or view.image_shape)[:2], view.image_shape[2])
    images = keras.Input(shape, name="images", dtype=view.dtype_policy.compute_dtype)
    return keras.Model(images, chosen(view(images)), name=f"{view.name}_{suffix}")
