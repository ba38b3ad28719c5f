"""What outputs mean: softmax, sigmoid or values, in the record and in all that is made of it."""

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError, UsageError
from kerasvit.models.problem import (
    MULTI_LABEL,
    PROBLEM_TYPES,
    REGRESSION,
    SINGLE_LABEL,
    Problem,
    problem_of,
)

LOGITS = np.random.default_rng(0).normal(scale=30, size=(7, 5)).astype(np.float32)


def _sigmoid(logits):
    return keras.ops.convert_to_numpy(keras.ops.sigmoid(logits))


@pytest.mark.parametrize("stated", [None, SINGLE_LABEL])
def test_several_outputs_are_a_softmax_unless_it_is_said_otherwise(stated):
    problem = Problem(5, stated)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(LOGITS))
    np.testing.assert_allclose(problem.probabilities(LOGITS), expected, atol=1e-6)
    assert (problem.problem_type, problem.num_classes, problem.note) == (SINGLE_LABEL, 5, "")


@pytest.mark.parametrize("stated", [None, SINGLE_LABEL, MULTI_LABEL])
def test_one_logit_is_a_yes_or_no(stated):
    problem, logits = Problem(1, stated), LOGITS[:, :1]
    probabilities = problem.probabilities(logits)
    assert probabilities.shape == (7, 2)
    np.testing.assert_allclose(probabilities[:, 1:], _sigmoid(logits), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert ("yes or no" in problem.note) == (stated is None)


def test_many_labels_are_independent_and_a_large_logit_does_not_overflow():
    logits = np.concatenate([LOGITS, [[1e4, -1e4, 0, 1, -1]]]).astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        found = Problem(5, MULTI_LABEL).probabilities(logits)
    np.testing.assert_allclose(found, _sigmoid(logits), atol=1e-6)
    assert found.dtype == np.float32


def test_values_of_a_regression_stay_as_they_are():
    problem = Problem(5, REGRESSION)
    np.testing.assert_array_equal(problem.probabilities(LOGITS), LOGITS)
    assert problem.names[1] == "value 1"
    assert not Problem(1, REGRESSION).is_binary


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ("class 0", "class 1")),
        (("cat",), ("not cat", "cat")),
        (("dog", "cat"), ("dog", "cat")),
        (("a", "b", "c"), ("a", "b")),
    ],
)
def test_one_logit_has_names_for_both_answers(names, expected):
    problem = problem_of({"class_names": names}, 1)
    assert tuple(map(problem.name, range(2))) == expected


def test_a_class_is_still_held_while_it_comes_first_or_its_label_is_given():
    logits = np.array([[[2.0, 1.0, -1.0]], [[-3.0, 1.0, -1.0]]])
    assert Problem(3).holds(logits, [1]).tolist() == [[False], [True]]
    assert Problem(3, MULTI_LABEL).holds(logits, [1]).tolist() == [[True], [True]]
    assert Problem(3, MULTI_LABEL).holds(logits, [0]).tolist() == [[True], [False]]
    assert Problem(1).holds(logits[..., :1], [0]).tolist() == [[False], [True]]


def test_the_problem_type_travels_with_the_model(tools, tmp_path):
    model = kerasvit.create_model(
        "vit_nano_patch4_32", num_classes=3, num_layers=1, problem_type=MULTI_LABEL
    )
    model.save(tmp_path / "model.keras")
    others = {
        "view": model.with_attention("cls"),
        "clone": keras.models.clone_model(model),
        "file": keras.saving.load_model(tmp_path / "model.keras"),
        "door": kerasvit.from_pretrained(tmp_path / "model.keras"),
    }
    assert model.record == {"problem_type": MULTI_LABEL}
    assert {name: other.problem_type for name, other in others.items()} == dict.fromkeys(
        others, MULTI_LABEL
    )


@pytest.mark.parametrize("wrong", ["multi-label", 3, ["regression"]])
def test_an_unknown_problem_type_is_refused_in_one_line(tools, tmp_path, wrong):
    with pytest.raises(UsageError, match=r"problem_type must be one of .* Received"):
        kerasvit.create_model("vit_nano_patch4_32", problem_type=wrong)
    model = tools.make("ViT")
    model.record["problem_type"] = wrong
    with pytest.raises(UsageError, match="problem_type must be one of"):
        _ = model.problem
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="problem_type must be one of"):
        kerasvit.from_pretrained(tmp_path / "model.keras")


def test_a_backbone_has_no_problem(tools):
    with pytest.raises(UsageError, match="model without a head"):
        _ = tools.make("ViT", num_classes=0).problem


def test_every_problem_type_says_what_it_is():
    words = {Problem(count, stated).description for count in (1, 4) for stated in PROBLEM_TYPES}
    assert len(words) == 5
