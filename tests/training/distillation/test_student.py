"""Distillation through plain `fit`: the joint loss, who learns, what is saved."""

import keras
import numpy as np
import pytest

from kerasvit.models import CaiT, VisionTransformer
from kerasvit.training.distillation.student import DistilledTraining
from kerasvit.training.losses import FeatureDistillation, LabelCrossEntropy
from kerasvit.training.outputs import patch_tokens

TINY = {
    "image_shape": (8, 12, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 8,
    "num_layers": 1,
    "num_heads": 2,
    "mlp_dim": 12,
}
STUDENTS = {
    "ViT": lambda: VisionTransformer(**TINY),
    "distilled": lambda: VisionTransformer(**TINY, use_distillation_token=True),
    "CaiT": lambda: CaiT(**TINY, num_class_layers=1, layer_scale_init_value=0.5),
}
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(8, 8, 12, 3)).astype("float32")
LABELS = np.arange(8) % 5
WEIGHTS = np.linspace(0.5, 2, 8).astype("float32")


def _teacher():
    return _randomised(VisionTransformer(**{**TINY, "hidden_dim": 12, "num_registers": 2}))


def _randomised(model, seed=0):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return model


# XLA takes seconds for each step function on TensorFlow, and JAX takes longer without it.
JIT = keras.backend.backend() == "jax"


def _compiled(training, rate=0.05):
    training.compile(
        keras.optimizers.SGD(rate), LabelCrossEntropy(), metrics=["accuracy"], jit_compile=JIT
    )
    return training


def _array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _weights(model):
    return [_array(weight) for weight in model.weights]


def _same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.backend
@pytest.mark.parametrize(
    ("family", "kind"), [("distilled", "hard"), ("distilled", "soft"), ("CaiT", "soft")]
)
def test_the_loss_of_a_step_is_the_papers_sum_of_both_heads(family, kind):
    student, teacher = _randomised(STUDENTS[family]()), _teacher()
    training = DistilledTraining(student, kind, teacher, weight=0.3)
    _compiled(training, rate=0.0)
    head, distillation_head = _heads(student)
    expected = 0.7 * _cross_entropy(np.eye(5)[LABELS], head)
    teacher_logits = _array(teacher(IMAGES)[0])
    if kind == "hard":
        decided = np.eye(5)[teacher_logits.argmax(axis=1)]
        teacher_loss = _cross_entropy(decided, distillation_head)
    else:
        softened = _softmax(teacher_logits / 3)
        teacher_loss = 9 * (
            _cross_entropy(softened, distillation_head / 3)
            - _cross_entropy(softened, teacher_logits / 3)
        )
    history = training.fit(IMAGES, LABELS, batch_size=8, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected + 0.3 * teacher_loss, rel=1e-4)
    assert history["teacher_loss"][0] == pytest.approx(teacher_loss, rel=1e-4)
    mean = (head + distillation_head) / 2
    assert history["accuracy"][0] == pytest.approx((mean.argmax(1) == LABELS).mean())


def _heads(student):
    if getattr(student, "use_distillation_token", False):
        both = _array(student.with_attention("none", distillation_output="both")(IMAGES)[0])
        return both[:, 0], both[:, 1]
    logits = _array(student(IMAGES)[0])
    return logits, logits


def _softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _cross_entropy(labels, logits):
    return -(labels * np.log(_softmax(logits))).sum(axis=1).mean()


@pytest.mark.backend
def test_features_that_are_computed_before_give_the_loss_of_a_teacher_along():
    losses = []
    for precomputed in (False, True):
        teacher = _teacher()
        student = _randomised(STUDENTS["ViT"]())
        training = DistilledTraining(
            student,
            "features",
            None if precomputed else teacher,
            feature_width=12 if precomputed else None,
            weight=2.0,
        )
        _randomised(training.feature_projection, seed=1)
        _compiled(training)
        features = _array(patch_tokens(teacher, IMAGES))
        y = {"labels": LABELS, "teacher": features} if precomputed else LABELS
        history = training.fit(IMAGES, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        losses.append((history.history["loss"], history.history["teacher_loss"]))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.parametrize("family", ["distilled", "CaiT"])
def test_a_student_comes_to_have_the_teachers_features_and_the_teacher_stays(family):
    student, teacher = STUDENTS[family](), _teacher()
    kept = _weights(teacher)
    training = DistilledTraining(student, "features", teacher, weight=1.0)
    training.compile(keras.optimizers.Adam(0.01), LabelCrossEntropy(), jit_compile=JIT)
    history = training.fit(IMAGES, LABELS, batch_size=8, epochs=30, verbose=0).history
    assert history["teacher_loss"][-1] < 0.7 * history["teacher_loss"][0]
    assert history["loss"][-1] < history["loss"][0]
    assert _same(_weights(teacher), kept)


@pytest.mark.backend
def test_masked_patches_and_weighted_pictures_count_as_they_should():
    student = _randomised(STUDENTS["ViT"]())
    training = _compiled(DistilledTraining(student, "features", feature_width=12), rate=0.0)
    features = RNG.normal(size=(8, 6, 12)).astype("float32")
    valid = (RNG.random((8, 6)) < 0.5).astype("float32")
    y = {"labels": LABELS, "teacher": features, "valid": valid}
    history = training.fit(IMAGES, y, sample_weight=WEIGHTS, batch_size=8, verbose=0).history
    predicted = _array(training(IMAGES)["teacher"])
    expected = FeatureDistillation()(features, predicted, WEIGHTS[:, None] * valid)
    assert history["teacher_loss"][0] == pytest.approx(float(expected), rel=1e-4)
    logits = _array(student(IMAGES)[0])
    label_loss = LabelCrossEntropy()(LABELS, logits, WEIGHTS)
    assert history["loss"][0] == pytest.approx(float(label_loss) + float(expected), rel=1e-4)


@pytest.mark.backend
def test_evaluation_needs_labels_alone_and_is_that_of_the_student():
    student = _randomised(STUDENTS["distilled"]())
    training = _compiled(DistilledTraining(student, "hard", _teacher()))
    training.fit(IMAGES, LABELS, validation_data=(IMAGES, LABELS), batch_size=8, verbose=0)
    found = training.evaluate(IMAGES, LABELS, batch_size=8, verbose=0, return_dict=True)
    student.compile(loss=LabelCrossEntropy(), metrics=["accuracy"], jit_compile=JIT)
    expected = student.evaluate(IMAGES, LABELS, batch_size=8, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_student_alone_is_saved(tmp_path):
    student = _randomised(STUDENTS["CaiT"]())
    training = DistilledTraining(student, "features", _teacher())
    training.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    assert type(loaded) is CaiT
    assert _same(_weights(loaded), _weights(student))


@pytest.mark.backend
def test_a_run_goes_on_from_its_weights(tmp_path):
    def make(seed):
        training = DistilledTraining(STUDENTS["ViT"](), "features", feature_width=4)
        return _randomised(training, seed)

    first, second = make(0), make(1)
    first.save_weights(tmp_path / "run.weights.h5")
    second.load_weights(tmp_path / "run.weights.h5")
    assert _same(_weights(second), _weights(first))


def test_any_keras_model_may_teach_and_learn_logits():
    def make():
        layers = [keras.layers.Flatten(), keras.layers.Dense(5)]
        return keras.Sequential([keras.Input((8, 12, 3)), *layers])

    teacher = make()
    training = _compiled(DistilledTraining(make(), "soft", teacher, teacher_inputs=lambda x: 2 * x))
    kept = _weights(teacher)
    losses = training.fit(IMAGES, LABELS, batch_size=8, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert _same(_weights(teacher), kept)


@pytest.mark.parametrize(
    ("kind", "y", "words"),
    [
        ("features", LABELS, "labels alone"),
        ("features", {"labels": LABELS, "teacher": np.zeros((8, 4, 3))}, r"\(4, 3\)"),
        ("hard", {"labels": LABELS, "taecher": np.zeros((8, 5))}, "taecher"),
    ],
)
def test_targets_that_do_not_fit_are_named(kind, y, words):
    width = {"feature_width": 3} if kind == "features" else {}
    training = _compiled(DistilledTraining(STUDENTS["ViT"](), kind, **width))
    with pytest.raises(ValueError, match=words):
        training.fit(IMAGES, y, batch_size=8, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "medium"}, "kind='medium'"),
        ({"kind": "soft", "weight": 1.5}, "weight=1.5"),
        ({"kind": "features", "weight": -1, "feature_width": 4}, "weight=-1"),
        ({"kind": "features"}, "feature_width=None"),
        ({"kind": "features", "feature_width": 4, "block": 1}, r"\[1\]"),
    ],
)
def test_a_wrong_argument_is_named_in_one_line(arguments, words):
    with pytest.raises(ValueError, match=words) as error:
        DistilledTraining(STUDENTS["ViT"](), **arguments)
    assert "\n" not in str(error.value)
