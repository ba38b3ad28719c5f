"""What students and teachers give: logits, and patch tokens of a block or after the last norm.

Views are held by functions here, so that Keras does not track their weights twice.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras

from kerasvit.models.base import ScoreModel


def student_outputs(student: keras.Model, place: str | None) -> Callable:
    """Return how a student in training is run.

    Args:
        student: a kerasvit model, or any whose output, or first output, is logits.
        place: name of the block's output whose patch tokens are wanted, see
            `kerasvit.models.taps.Taps`; None for none. Needs a kerasvit model.

    Returns:
        Function from `(images, training)` to logits `(B, K)` and patch tokens `(B, P, D)` or None.
        A distilled model without a place gives the logits of both heads, `(B, 2, K)`.
    """
    if not isinstance(student, ScoreModel):
        return functools.partial(_foreign_outputs, student)
    overrides: dict[str, Any] = {}
    if getattr(student, "use_distillation_token", False):
        overrides["distillation_output"] = "average" if place else "both"
    view = student.with_attention("none", **overrides)

    def outputs(images, training):
        logits, tapped = view.call_with_taps(
            images, {place: None} if place else {}, False, training
        )
        if place is None:
            return logits, None
        return logits, tapped[place][:, view.token_layout(images.shape[1:3]).num_prefix :]

    return outputs


def _foreign_outputs(model, images, training):
    outputs = model(images, training=training)
    return (outputs[0] if isinstance(outputs, list | tuple) else outputs), None


def teacher_outputs(teacher: keras.Model, kind: str, prepare: Callable | None) -> Callable:
    """Return how a teacher is run.

    Args:
        teacher: a kerasvit model, or any with the outputs wanted.
        kind: "features" for patch tokens, else logits.
        prepare: function from the student's images to the teacher's, or None.

    Returns:
        Function from the student's images to logits `(B, K)` or patch tokens `(B, P, W)`.
    """
    is_ours = isinstance(teacher, ScoreModel)
    view = teacher.with_attention("none") if is_ours else teacher

    def outputs(images):
        images = images if prepare is None else prepare(images)
        if is_ours and kind == "features":
            return patch_tokens(view, images)
        return _foreign_outputs(view, images, False)[0]

    return outputs


def patch_tokens(model: ScoreModel, images):
    """Return the patch tokens after the last norm.

    Args:
        model: a `VisionTransformer` or `CaiT`.
        images: float tensor `(B, height, width, channels)`.

    Returns:
        Tensor `(B, P, D)`, the patches row by row.
    """
    tokens = model.forward_features(images, training=False)
    rows, columns = model.token_layout(images.shape[1:3]).grid
    return tokens[:, tokens.shape[1] - rows * columns :]
