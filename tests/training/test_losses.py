"""Losses against PyTorch's and timm's, which we did not write, and against closed forms."""

import keras
import numpy as np
import pytest

from kerasvit.training.losses import (
    FeatureDistillation,
    HardDistillation,
    LabelAccuracy,
    LabelCrossEntropy,
    SoftDistillation,
    soft_labels,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 5)).astype("float32") * 3
TEACHER = RNG.normal(size=(6, 5)).astype("float32") * 3
LABELS = np.array([0, 3, 4, 1, 2, 2])
MIXED = RNG.dirichlet(np.ones(5), size=6).astype("float32")
TOKENS, PREDICTED = RNG.normal(size=(2, 3, 4, 7)).astype("float32")


@pytest.fixture(scope="module")
def functional():
    return pytest.importorskip("torch.nn.functional")


def _torch(*arrays):
    import torch

    return [torch.tensor(array) for array in arrays]


def _value(loss, *arguments, **kwargs):
    return keras.ops.convert_to_numpy(loss(*arguments, **kwargs))


@pytest.mark.backend
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], MIXED])
def test_cross_entropy_is_that_of_pytorch_in_either_form_of_labels(functional, labels, smoothing):
    logits, targets = _torch(LOGITS, labels[:, 0] if labels.shape == (6, 1) else labels)
    expected = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    found = _value(LabelCrossEntropy(smoothing), labels, LOGITS)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("labels", [LABELS, MIXED])
def test_independent_classes_have_binary_cross_entropy(functional, labels, smoothing):
    targets = np.eye(5, dtype="float32")[labels] if labels.ndim == 1 else labels
    logits, targets = _torch(LOGITS, targets * (1 - smoothing) + np.float32(smoothing / 5))
    expected = functional.binary_cross_entropy_with_logits(logits, targets)
    found = _value(LabelCrossEntropy(smoothing, independent=True), labels, LOGITS)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


@pytest.mark.backend
@pytest.mark.backend
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("form", ["numbers", "column", "both classes"])
def test_one_logit_has_binary_cross_entropy(functional, form, smoothing):
    """Keras' and PyTorch's, of 0 and 1 or of mixed batches; smoothed over both classes."""
    labels, logits = (LABELS % 2).astype("float32"), LOGITS[:, :1]
    expected = functional.binary_cross_entropy_with_logits(
        *_torch(logits[:, 0], labels * (1 - smoothing) + smoothing / 2)
    )
    both = {"numbers": labels, "column": labels[:, None], "both classes": np.eye(2)[LABELS % 2]}
    found = _value(LabelCrossEntropy(smoothing), both[form], logits)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)
    keras_own = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    np.testing.assert_allclose(found, _value(keras_own, labels[:, None], logits), rtol=1e-5)


@pytest.mark.backend
def test_accuracy_of_decisions_goes_by_the_sign():
    labels = (LOGITS > 1).astype("int32")
    many, one = LabelAccuracy(independent=True), LabelAccuracy()
    many.update_state(labels, LOGITS)
    assert float(many.result()) == pytest.approx(((LOGITS > 0) == labels).mean())
    one.update_state(labels[:, 0], LOGITS[:, :1])
    assert float(one.result()) == pytest.approx(((LOGITS > 0) == labels)[:, 0].mean())
    again = LabelAccuracy.from_config(many.get_config())
    again.update_state(labels, LOGITS)
    assert float(again.result()) == pytest.approx(float(many.result()))


def test_smoothed_labels_are_those_of_timm(timm):
    import torch
    from timm.data.mixup import mixup_target

    # With all of the first label, mixup's target is the smoothed label itself.
    expected = mixup_target(torch.tensor(LABELS), 5, lam=1.0, smoothing=0.1)
    found = keras.ops.convert_to_numpy(soft_labels(LABELS, 5, 0.1))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-7)


@pytest.mark.backend
def test_accuracy_takes_probabilities_and_then_class_numbers():
    metric = LabelAccuracy()
    metric.update_state(MIXED, LOGITS)
    expected = (MIXED.argmax(1) == LOGITS.argmax(1)).mean()
    assert float(metric.result()) == pytest.approx(expected)
    metric.update_state(LABELS, LOGITS)
    expected = (expected + (LOGITS.argmax(1) == LABELS).mean()) / 2
    assert float(metric.result()) == pytest.approx(expected)


@pytest.mark.backend
def test_hard_distillation_is_cross_entropy_with_the_teachers_decision(functional):
    logits, decisions = _torch(LOGITS, TEACHER.argmax(axis=1))
    expected = functional.cross_entropy(logits, decisions).numpy()
    np.testing.assert_allclose(_value(HardDistillation(), TEACHER, LOGITS), expected, rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_soft_distillation_is_the_scaled_divergence(functional, temperature):
    student, teacher = (
        functional.log_softmax(array / temperature, dim=1) for array in _torch(LOGITS, TEACHER)
    )
    divergence = functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    found = _value(SoftDistillation(temperature), TEACHER, LOGITS)
    np.testing.assert_allclose(found, divergence.numpy() * temperature**2, rtol=1e-5)


@pytest.mark.backend
def test_feature_distances_are_those_of_pytorch(functional):
    target, predicted = _torch(TOKENS, PREDICTED)
    cosine = 1 - functional.cosine_similarity(target, predicted, dim=-1)
    found = _value(FeatureDistillation(reduction=None), TOKENS, PREDICTED)
    np.testing.assert_allclose(found, cosine.numpy(), atol=1e-6)

    whitened = functional.layer_norm(target, (7,), eps=1e-6)
    smooth = functional.smooth_l1_loss(predicted, whitened, beta=0.5)
    found = _value(FeatureDistillation("smooth_l1", beta=0.5), TOKENS, PREDICTED)
    np.testing.assert_allclose(found, smooth.numpy(), rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("distance", ["cosine", "smooth_l1"])
def test_patches_without_a_counterpart_do_not_count(distance):
    loss = FeatureDistillation(distance)
    valid = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], "float32")
    spoilt = np.where(valid[..., None] > 0, PREDICTED, 1e3).astype("float32")
    kept = valid > 0
    alone = _value(loss, TOKENS[kept][None], PREDICTED[kept][None])
    np.testing.assert_allclose(_value(loss, TOKENS, spoilt, sample_weight=valid), alone, rtol=1e-5)
    assert _value(loss, TOKENS, spoilt, sample_weight=np.zeros_like(valid)) == 0


@pytest.mark.parametrize(
    "loss",
    [
        LabelCrossEntropy(0.1, independent=True),
        HardDistillation(),
        SoftDistillation(2.0),
        FeatureDistillation("smooth_l1", beta=1.5),
        LabelAccuracy("share"),
    ],
)
def test_every_loss_survives_its_config(loss):
    is_metric = isinstance(loss, keras.metrics.Metric)
    package = keras.metrics if is_metric else keras.losses
    again = package.deserialize(package.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LabelCrossEntropy(1.0), "label_smoothing=1.0"),
        (lambda: SoftDistillation(0), "temperature=0"),
        (lambda: FeatureDistillation("l3"), "distance='l3'"),
        (lambda: FeatureDistillation(beta=0), "beta=0"),
    ],
)
def test_a_wrong_argument_is_named_in_one_line(make, words):
    with pytest.raises(ValueError, match=words) as error:
        make()
    assert "\n" not in str(error.value)
