"""Losses on logits: of labels in either form, of a teacher's logits, of a teacher's tokens."""

from typing import Any

import keras
from keras import ops

from kerasvit.layers.base import PACKAGE, require

FEATURE_LOSSES = ("cosine", "smooth_l1")


def soft_labels(labels, num_classes: int, smoothing: float = 0.0):
    """Return probabilities over classes, whatever form the labels have.

    Args:
        labels: class numbers `(B,)` or `(B, 1)`, or probabilities `(B, K)`, as mixup makes them.
        num_classes: K. One logit stands for two: labels are 0 or 1, or probabilities of 1 or both.
        smoothing: float in [0, 1): share of each label that is spread evenly over all K classes.

    Returns:
        float32 tensor `(B, K)`, `(1 - smoothing) * label + smoothing / K`, or `/ 2` of one logit.

    Source: Szegedy et al. 2016, section 7 (https://arxiv.org/abs/1512.00567).
    """
    labels = ops.convert_to_tensor(labels)
    if num_classes == 1:
        is_of_both = len(labels.shape) == 2 and labels.shape[1] == 2
        labels = ops.reshape(labels[:, 1] if is_of_both else labels, (-1, 1))
        labels = ops.cast(labels, "float32")
        return labels * (1.0 - smoothing) + smoothing / 2 if smoothing else labels
    if len(labels.shape) == 2 and labels.shape[1] == num_classes:
        labels = ops.cast(labels, "float32")
    else:
        numbers = ops.cast(ops.reshape(labels, (-1,)), "int32")
        labels = ops.one_hot(numbers, num_classes, dtype="float32")
    return labels * (1.0 - smoothing) + smoothing / num_classes if smoothing else labels


def _cross_entropy(labels, logits):
    """Return the cross entropy of each sample, `(B,)`, with probabilities `(B, K)`."""
    return -ops.sum(labels * ops.log_softmax(logits, axis=-1), axis=-1)


@keras.saving.register_keras_serializable(PACKAGE)
class LabelCrossEntropy(keras.losses.Loss):
    """Cross entropy of logits with class numbers or with probabilities, smoothed.

    Keras has a loss for each; with mixup training has probabilities, and evaluation class numbers.

    Args:
        label_smoothing: float in [0, 1), see `soft_labels`.
        independent: bool. Whether every class is a decision of its own (sigmoid and binary cross
            entropy, mean over the classes, as DeiT III trains on ImageNet-1k), as one logit always
            is, instead of one among all (softmax).
        name, reduction: see `keras.losses.Loss`.

    Call arguments:
        y_true: see `soft_labels`.
        y_pred: logits `(B, K)`.

    Raises:
        ValueError: if `label_smoothing` lies outside [0, 1).

    Source: softmax: Touvron et al. 2021 (https://arxiv.org/abs/2012.12877); binary: Wightman et al.
    2021 (https://arxiv.org/abs/2110.00476), Touvron et al. 2022 (https://arxiv.org/abs/2204.07118).
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        independent: bool = False,
        name: str = "label_cross_entropy",
        reduction: str | None = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction)
        require(
            0.0 <= label_smoothing < 1.0,
            f"label_smoothing must lie in [0, 1). Received: label_smoothing={label_smoothing}",
        )
        self.label_smoothing = label_smoothing
        self.independent = independent

    def call(self, y_true, y_pred):
        """Return the loss of each sample, `(B,)`."""
        labels = soft_labels(y_true, y_pred.shape[-1], self.label_smoothing)
        labels = ops.cast(labels, y_pred.dtype)
        if self.independent or y_pred.shape[-1] == 1:
            return ops.mean(ops.softplus(y_pred) - y_pred * labels, axis=-1)
        return _cross_entropy(labels, y_pred)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"label_smoothing": self.label_smoothing, "independent": self.independent}
        return super().get_config() | own


def _matches(y_true, y_pred, independent=False):
    labels = soft_labels(y_true, y_pred.shape[-1])
    if independent or y_pred.shape[-1] == 1:
        right = (labels > 0.5) == (y_pred > 0)
        return ops.mean(ops.cast(right, keras.config.floatx()), axis=-1)
    agree = ops.argmax(labels, axis=-1) == ops.argmax(y_pred, axis=-1)
    return ops.cast(agree, keras.config.floatx())


@keras.saving.register_keras_serializable(PACKAGE)
class LabelAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of the samples whose largest logit is the likeliest label, in either form of labels.

    Keras' own "accuracy" settles for the form of the first batch that it sees.

    Args:
        name: str.
        dtype: of the state.
        independent: bool. Whether each class is a decision of its own, by the logit's sign, as one
            logit always is; the share of the right ones counts.
    """

    def __init__(self, name: str = "accuracy", dtype=None, independent: bool = False):
        super().__init__(fn=_matches, name=name, dtype=dtype, independent=independent)
        self.independent = independent

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype, "independent": self.independent}


@keras.saving.register_keras_serializable(PACKAGE)
class HardDistillation(keras.losses.Loss):
    """Cross entropy of the student's logits with the class that the teacher decides for.

    Call arguments:
        y_true: the teacher's logits `(B, K)`.
        y_pred: the student's logits `(B, K)`, of the distillation head where it has one.

    Source: Touvron et al. 2021, equation 3 (https://arxiv.org/abs/2012.12877).
    """

    def __init__(self, name="hard_distillation", reduction="sum_over_batch_size"):
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true, y_pred):
        """Return the loss of each sample, `(B,)`."""
        labels = ops.argmax(ops.stop_gradient(y_true), axis=-1)
        return _cross_entropy(soft_labels(labels, y_pred.shape[-1]), y_pred)


@keras.saving.register_keras_serializable(PACKAGE)
class SoftDistillation(keras.losses.Loss):
    """Kullback-Leibler divergence of the softened student from the softened teacher.

    Summed over classes, times the squared temperature, as in the paper; DeiT's code divides by K.

    Args:
        temperature: float above 0 that both logits are divided by.
        name, reduction: see `keras.losses.Loss`.

    Call arguments:
        y_true: the teacher's logits `(B, K)`.
        y_pred: the student's logits `(B, K)`, of the distillation head where it has one.

    Raises:
        ValueError: if the temperature is not positive.

    Source: Hinton et al. 2015 (https://arxiv.org/abs/1503.02531); Touvron et al. 2021, equation 2
    (https://arxiv.org/abs/2012.12877), with a temperature of 3.
    """

    def __init__(
        self,
        temperature: float = 3.0,
        name: str = "soft_distillation",
        reduction: str | None = "sum_over_batch_size",
    ):
        super().__init__(name=name, reduction=reduction)
        require(
            temperature > 0,
            f"temperature must be above 0. Received: temperature={temperature}",
        )
        self.temperature = temperature

    def call(self, y_true, y_pred):
        """Return the loss of each sample, `(B,)`."""
        teacher = ops.log_softmax(ops.stop_gradient(y_true) / self.temperature, axis=-1)
        student = ops.log_softmax(y_pred / self.temperature, axis=-1)
        return self.temperature**2 * ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(PACKAGE)
class FeatureDistillation(keras.losses.Loss):
    """Distance of projected patch tokens of a student from those of a teacher.

    Args:
        distance: "cosine", one minus the cosine of each pair of tokens; or "smooth_l1", from the
            teacher's token shifted and scaled to mean 0 and variance 1, mean over the channels.
        beta: float above 0: where "smooth_l1" turns from squares to absolute values.
        name, reduction: see `keras.losses.Loss`; the default is the mean over the patches that
            have a weight.

    Call arguments:
        y_true: the teacher's tokens `(B, P, W)`.
        y_pred: the student's tokens, projected to the same width, `(B, P, W)`.
        sample_weight: `(B, P)`, 0 for patches that have no counterpart; or None.

    Raises:
        ValueError: if the distance is unknown or `beta` is not positive.

    Source: smooth L1 from whitened features, beta 2: Wei et al. 2022
    (https://arxiv.org/abs/2205.14141).
    """

    def __init__(
        self,
        distance: str = "cosine",
        beta: float = 2.0,
        name: str = "feature_distillation",
        reduction: str | None = "mean_with_sample_weight",
    ):
        super().__init__(name=name, reduction=reduction)
        require(
            distance in FEATURE_LOSSES,
            f"distance must be one of {FEATURE_LOSSES}. Received: distance={distance!r}",
        )
        require(beta > 0, f"beta must be above 0. Received: beta={beta}")
        self.distance = distance
        self.beta = beta

    def call(self, y_true, y_pred):
        """Return the loss of each patch, `(B, P)`."""
        target = ops.stop_gradient(y_true)
        if self.distance == "cosine":
            return 1.0 - ops.sum(_unit(target) * _unit(y_pred), axis=-1)
        mean, variance = ops.moments(target, axes=[-1], keepdims=True)
        error = ops.abs(y_pred - (target - mean) * ops.rsqrt(variance + 1e-6))
        near = error * error / (2 * self.beta)
        return ops.mean(ops.where(error < self.beta, near, error - self.beta / 2), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "distance": self.distance, "beta": self.beta}


def _unit(tokens):
    """Scale tokens to length 1; the smallest square keeps the gradient of a zero token finite."""
    return tokens * ops.rsqrt(ops.maximum(ops.sum(tokens * tokens, -1, keepdims=True), 1e-12))
