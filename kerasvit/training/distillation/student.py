"""Distillation with plain Keras `fit`: a student learns from labels and from a teacher."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerasvit.layers.base import require
from kerasvit.models.base import ScoreModel
from kerasvit.models.steps.tracing import build_optimizer, tracing_step
from kerasvit.training.losses import FeatureDistillation, HardDistillation, SoftDistillation
from kerasvit.training.outputs import student_outputs, teacher_outputs

# The teacher's share of the loss: of DeiT for logits, where the labels have the rest.
WEIGHTS = {"hard": 0.5, "soft": 0.1, "features": 1.0}


class DistilledTraining(keras.Model):
    """A student in training, with what it learns from and what is thrown away afterwards.

    It compiles, fits and evaluates as the student itself would: its loss and its metrics see plain
    labels and the student's logits. The loss of a training step is

    - `(1 - weight) * label_loss + weight * teacher_loss` for logits ("hard" and "soft");
    - `label_loss + weight * teacher_loss` for "features".

    A student with a distillation token learns the labels with its class head and the teacher's
    logits with the other; metrics and evaluation see their mean. Evaluation needs no teacher: its
    loss is the label loss. `save` saves the student alone; `save_weights` keeps everything, for a
    run that goes on.

    The teacher's outputs come from a teacher that runs along, or are precomputed, one array a
    batch, as `kerasvit.training.teacher_features.TeacherFeatures` gives them:
    `y = {"labels": labels, "teacher": outputs, "valid": mask}`. The mask `(B, P)` may be missing.

    Args:
        student: the model that is trained: for "features" a `VisionTransformer` or `CaiT`, else any
            model whose output, or first output, is logits.
        kind: "hard" (the class that the teacher decides for), "soft" (its probabilities) or
            "features" (its patch tokens, regressed through a linear map).
        teacher: a model with logits, or with patch tokens `(B, P, W)`: of a `VisionTransformer` or
            `CaiT` those after the last norm are taken. It is frozen: its `trainable` becomes False.
            None if its outputs are precomputed.
        weight: float or None for the kind's default: 0.5 hard, 0.1 soft, 1 features.
        teacher_loss: the loss between the teacher's outputs and the student's; None for
            `HardDistillation()`, `SoftDistillation()` or `FeatureDistillation()`.
        teacher_inputs: function from the student's images to the teacher's, both tensors, where
            they differ in size or normalisation; None for the same images.
        feature_width: W; needed for "features" without a kerasvit teacher.
        block: number of the student's self-attention block whose tokens learn from the teacher's.
        **kwargs: of `keras.Model`.

    Call arguments:
        images: float tensor `(B, height, width, channels)`.
        training: bool or None, as in Keras.

    Returns:
        A dict: "logits" `(B, K)` of the student, "labels" the logits that learn from the labels,
        "teacher" what learns from the teacher: logits `(B, K)` or projected tokens `(B, P, W)`.

    Raises:
        ValueError: if an argument is out of its range, or while training if a batch lacks the
            teacher's outputs or these have another shape than the student's.

    Source: hard and soft: Touvron et al. 2021, section 4 (https://arxiv.org/abs/2012.12877);
    features: Wei et al. 2022 (https://arxiv.org/abs/2205.14141).
    """

    def __init__(
        self,
        student: keras.Model,
        kind: str = "hard",
        teacher: keras.Model | None = None,
        weight: float | None = None,
        teacher_loss: keras.losses.Loss | None = None,
        teacher_inputs: Callable | None = None,
        feature_width: int | None = None,
        block: int = -1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require(kind in WEIGHTS, f"kind must be one of {tuple(WEIGHTS)}. Received: kind={kind!r}")
        self.kind = kind
        self.weight = _weight(kind, weight)
        self.student, self.teacher = student, teacher
        self.teacher_loss = teacher_loss or _default_loss(kind)
        self.teacher_loss_tracker = keras.metrics.Mean(name="teacher_loss")
        if kind == "features":
            self._make_projection(feature_width, block)
        self._outputs = student_outputs(student, self._place(block))
        if teacher is not None:
            teacher.trainable = False
            self._targets = teacher_outputs(teacher, kind, teacher_inputs)
        self._updates_teacher_loss = False
        self.built = True

    def _make_projection(self, width: int | None, block: int) -> None:
        student, teacher = self.student, self.teacher
        require(
            isinstance(student, ScoreModel),
            "Features are distilled into a VisionTransformer or CaiT. "
            f"Received: student={type(student).__name__}. Choose kind='soft' or 'hard'.",
        )
        student._block_numbers("block", [block])
        width = width or getattr(teacher, "hidden_dim", None)
        require(
            width is not None,
            "feature_width must be the width of the teacher's tokens, unless a kerasvit teacher "
            f"tells it. Received: feature_width={width}",
        )
        dtype = student.dtype_policy
        # Without weights of its own: tokens of any scale and offset are seen alike.
        self.feature_norm = keras.layers.LayerNormalization(
            epsilon=1e-6, center=False, scale=False, name="feature_norm", dtype=dtype
        )
        self.feature_projection = keras.layers.Dense(width, name="feature_projection", dtype=dtype)
        for layer in (self.feature_norm, self.feature_projection):
            layer.build((None, None, student.hidden_dim))

    def _place(self, block: int) -> str | None:
        if self.kind != "features":
            return None
        return f"{self.student.blocks[block].name}_output"

    def call(self, images, training=None):
        """Run the student; see the class for what is returned."""
        logits, tokens = self._outputs(images, training)
        if self.kind == "features":
            projected = self.feature_projection(self.feature_norm(tokens))
            return {"logits": logits, "labels": logits, "teacher": projected}
        if len(logits.shape) == 3:
            mean = (logits[:, 0] + logits[:, 1]) / 2
            return {"logits": mean, "labels": logits[:, 0], "teacher": logits[:, 1]}
        return {"logits": logits, "labels": logits, "teacher": logits}

    def fit(self, *args, **kwargs):
        """Train as Keras does."""
        build_optimizer(self)
        return super().fit(*args, **kwargs)

    def train_step(self, *args, **kwargs):
        """Take a step of `fit`; the arguments are those of the backend."""
        with tracing_step(self):
            return super().train_step(*args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Compute the joint loss while training, and the label loss in evaluation."""
        labels, targets, valid = _split(y)
        sample_weight = _of_samples(sample_weight)
        logits = y_pred["labels" if training else "logits"]
        label_loss = super().compute_loss(x, labels, logits, sample_weight, training)
        self._updates_teacher_loss = bool(training)
        if not training:
            return label_loss
        targets = self._teacher_targets(x, targets, y_pred["teacher"])
        weights = _weights(sample_weight, valid, targets)
        teacher_loss = self.teacher_loss(targets, y_pred["teacher"], weights)
        self.teacher_loss_tracker.update_state(teacher_loss)
        share = 1.0 if self.kind == "features" else 1.0 - self.weight
        return share * label_loss + self.weight * teacher_loss

    def _teacher_targets(self, images, targets, prediction):
        if targets is None:
            require(
                self.teacher is not None,
                "Without a teacher model every batch carries its outputs: "
                "y={'labels': ..., 'teacher': ...}. Received: labels alone.",
            )
            targets = self._targets(images)
        require(
            _same_shape(targets.shape, prediction.shape),
            "The teacher's outputs must have the shape of what the student makes of them: "
            f"{tuple(prediction.shape[1:])} a sample. Received: {tuple(targets.shape[1:])}",
        )
        return targets

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update the metrics with the labels and the student's logits."""
        weights = _of_samples(sample_weight)
        figures = super().compute_metrics(x, _split(y)[0], y_pred["logits"], weights)
        if not self._updates_teacher_loss:
            figures.pop("teacher_loss", None)
        return figures

    def save(self, filepath, overwrite: bool = True, **kwargs) -> None:
        """Save the student, without the teacher and without the projection.

        Args:
            filepath: path that ends in `.keras`.
            overwrite: bool. Whether an existing file is replaced.
            **kwargs: further arguments of the student's `save`.
        """
        self.student.save(filepath, overwrite=overwrite, **kwargs)


def _same_shape(one, other) -> bool:
    """Tell whether two samples have one shape, as far as it is known while tracing."""
    pairs = zip(one[1:], other[1:], strict=True) if len(one) == len(other) else [(0, 1)]
    return all(a is None or b is None or a == b for a, b in pairs)


def _weight(kind: str, weight: float | None) -> float:
    weight = WEIGHTS[kind] if weight is None else float(weight)
    highest = float("inf") if kind == "features" else 1.0
    require(
        0.0 <= weight <= highest,
        f"weight must lie in [0, {highest}] for kind={kind!r}. Received: weight={weight}",
    )
    return weight


def _default_loss(kind: str) -> keras.losses.Loss:
    losses = {"hard": HardDistillation, "soft": SoftDistillation, "features": FeatureDistillation}
    return losses[kind]()


def _split(y) -> tuple[Any, Any, Any]:
    """Return labels, the teacher's outputs and the mask of their patches, as far as given."""
    if not isinstance(y, Mapping):
        return y, None, None
    unknown = sorted(set(y) - {"labels", "teacher", "valid"})
    require(
        "labels" in y and not unknown,
        f"y has 'labels', 'teacher' and 'valid'. Received: {', '.join(map(str, y))}",
    )
    return y["labels"], y.get("teacher"), y.get("valid")


def _of_samples(sample_weight):
    """Return one weight a sample; Keras hands arrays of them on once for each entry of y."""
    return sample_weight["labels"] if isinstance(sample_weight, Mapping) else sample_weight


def _weights(sample_weight, valid, targets):
    """Return the weights of a batch's samples, or of its patches where the targets are patches."""
    if sample_weight is None or len(targets.shape) == 2:
        return sample_weight if valid is None else valid
    sample_weight = keras.ops.cast(keras.ops.reshape(sample_weight, (-1, 1)), "float32")
    patches = keras.ops.ones_like(targets[..., 0]) if valid is None else valid
    return sample_weight * keras.ops.cast(patches, "float32")
