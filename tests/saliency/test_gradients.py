import types

import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.gradients import (
    attention_gradients,
    input_gradients,
    read_out_gradients,
    tap_gradients,
)
from kerasvit.saliency.targets import make_objective, usual_target

WEIGHTS = np.array([[1, 0, -0.5, 0, 0], [0, 2, 0, 0, 1]], np.float32)


def objective(model, pixels, taps=None):
    logits = to_numpy(model.call_with_taps(pixels, taps or {})[0])
    return float((logits.astype(np.float64) * WEIGHTS).sum())


def scores_of(model):
    return [f"{block.name}_att" for block in model.all_blocks()]


def tokens_of(model):
    return [f"{block.name}_tokens" for block in model.all_blocks()]


def scaled(arrays, factor):
    return {name: np.float32(factor) * values for name, values in arrays.items()}


def slope(function, epsilon=1e-3):
    return (function(epsilon) - function(-epsilon)) / (2 * epsilon)


def make(real, name):
    if name == "cait_before":
        return real.cait().with_attention("full", scores_before_mixing=True)
    if name == "distilled":
        return real.vit(use_distillation_token=True, layer_scale_init_value=0.5)
    return getattr(real, name)()


@pytest.mark.backend
@pytest.mark.parametrize("name", ["vit", "cait", "cait_before"])
@pytest.mark.parametrize("places", [scores_of, tokens_of], ids=["scores", "tokens"])
def test_gradients_are_the_slopes_along_a_random_direction(real, name, places):
    model = make(real, name)
    names = places(model)
    _, _, gradients = tap_gradients(model, real.pixels, WEIGHTS, names)
    rng = np.random.default_rng(1)
    # Of unit length at each place, so that none drowns the others.
    direction = {name: rng.normal(size=gradients[name].shape).astype(np.float32) for name in names}
    direction = {
        name: values / np.abs(gradients[name] * values).sum() for name, values in direction.items()
    }
    expected = slope(lambda e: objective(model, real.pixels, scaled(direction, e)), 0.02)
    found = sum((gradients[name] * direction[name]).sum() for name in names)
    assert found == pytest.approx(expected, rel=2e-2, abs=1e-2)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["vit", "cait"])
def test_input_gradients_are_the_slopes_of_the_input(real, name):
    model = make(real, name)
    logits, gradient = input_gradients(model, real.pixels, WEIGHTS)
    np.testing.assert_allclose(logits, to_numpy(model(real.pixels)[0]), atol=1e-5)
    direction = np.random.default_rng(2).normal(size=gradient.shape).astype(np.float32)
    expected = slope(lambda e: objective(model, real.pixels + np.float32(e) * direction))
    assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("name", ["vit", "cait_before"])
def test_scores_times_gradients_is_the_slope_of_scaled_scores(real, name):
    # d/da s(a A) at a = 1: the sum of A times its gradient.
    model = make(real, name)
    key = scores_of(model)[0]
    _, scores, gradients = tap_gradients(model, real.pixels, WEIGHTS, [key])
    expected = slope(lambda e: objective(model, real.pixels, scaled(scores, e)))
    assert (scores[key] * gradients[key]).sum() == pytest.approx(expected, rel=1e-2, abs=2e-3)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["vit", "cait", "cait_before", "distilled"])
def test_the_scores_are_those_that_the_model_returns(real, name):
    model = make(real, name)
    logits, scores, gradients = attention_gradients(model, real.pixels)
    expected_logits, sa_scores, ca_scores = model(real.pixels)
    expected = {**sa_scores, **ca_scores}
    np.testing.assert_allclose(logits, to_numpy(expected_logits), atol=1e-5)
    assert list(scores) == list(gradients) == list(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(scores[key], to_numpy(value), atol=1e-6)
        assert gradients[key].shape == scores[key].shape
        assert gradients[key].dtype == np.float32


def test_the_mode_of_the_model_and_its_two_logits_do_not_matter(real):
    model = make(real, "distilled")
    expected = attention_gradients(model, real.pixels, 3)
    for mode in ("cls", "none"):
        both = model.with_attention(mode, distillation_output="both")
        found = attention_gradients(both, real.pixels, 3)
        for found_part, expected_part in zip(found[1:], expected[1:], strict=True):
            for key, value in expected_part.items():
                np.testing.assert_allclose(found_part[key], value, atol=1e-6)


def test_the_last_block_of_a_vit_is_read_in_its_class_row_alone(real):
    _, _, gradients = attention_gradients(real.vit(), real.pixels, 0)
    last, first = gradients["sa_ffn_block_01_att"], gradients["sa_ffn_block_00_att"]
    assert np.abs(last[:, :, 1:]).max() == 0
    assert np.abs(last[:, :, 0]).max() > 0
    assert np.abs(first[:, :, 1:]).max() > 0


def test_each_image_has_gradients_of_its_own(real):
    model = real.cait()
    _, _, together = attention_gradients(model, real.pixels, [1, 4])
    for index, target in enumerate((1, 4)):
        _, _, alone = attention_gradients(model, real.pixels[index : index + 1], target)
        for key, value in alone.items():
            np.testing.assert_allclose(together[key][index : index + 1], value, atol=1e-5)


@pytest.mark.backend
def test_a_block_read_out_as_the_last_one(real):
    model = real.vit()
    logits, gradients = read_out_gradients(model, real.pixels, WEIGHTS, model.blocks)
    np.testing.assert_allclose(logits, to_numpy(model(real.pixels)[0]), atol=1e-5)
    assert list(gradients) == scores_of(model)
    _, _, whole = tap_gradients(model, real.pixels, WEIGHTS, scores_of(model))
    # The last block is the last one anyway; a block before it, once nothing follows.
    np.testing.assert_allclose(
        gradients["sa_ffn_block_01_att"], whole["sa_ffn_block_01_att"], atol=1e-6
    )
    shorter = real.vit(num_layers=1)
    _, _, cut = tap_gradients(shorter, real.pixels, WEIGHTS, ["sa_ffn_block_00_att"])
    np.testing.assert_allclose(
        gradients["sa_ffn_block_00_att"], cut["sa_ffn_block_00_att"], atol=1e-6
    )
    assert np.abs(whole["sa_ffn_block_00_att"] - cut["sa_ffn_block_00_att"]).max() > 1e-3


def test_targets_may_be_named_numbered_or_each_image_s_own(real):
    model = real.vit(record={"class_names": ["ant", "Bee, honey bee", "cat", "dog", "bee"]})
    logits = np.array([[0, 5, 1, 2, 3], [1, 0, 4, 1, 1]], np.float32)
    cases = {
        "dog": (3, 3),
        "DOG": (3, 3),
        "4": (4, 4),
        "honey bee": (1, 1),
        2: (2, 2),
        "top1": (1, 2),
        None: (1, 2),
        ("top1", "ant"): (1, 0),
        (4, "cat"): (4, 2),
    }
    for target, classes in cases.items():
        found = make_objective(model, logits, target)
        assert found.classes == classes
        np.testing.assert_array_equal(found.of(logits), logits[[0, 1], list(classes)])


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (5, "from 0 to 4"),
        (-1, "from 0 to 4"),
        ("bee", "or several"),
        ("dgo", "Did you mean 'dog'"),
        ("", "top1"),
    ],
)
def test_a_class_that_is_not_there_is_refused(real, target, match):
    model = real.vit(record={"class_names": ["ant", "Bee, honey bee", "cat", "dog", "bee"]})
    with pytest.raises(UsageError, match=match) as caught:
        make_objective(model, np.zeros((2, 5), np.float32), target)
    assert "\n" not in str(caught.value)


def test_a_model_without_classes_is_explained_by_its_feature(real):
    model = real.vit(num_classes=0)
    feature, _, gradients = attention_gradients(model, real.pixels)
    direction = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    _, _, expected = tap_gradients(model, real.pixels, direction, ["sa_ffn_block_01_att"])
    np.testing.assert_allclose(
        gradients["sa_ffn_block_01_att"], expected["sa_ffn_block_01_att"], atol=1e-5
    )
    with pytest.raises(UsageError, match="target='feature'"):
        attention_gradients(model, real.pixels, 0)


def test_wrong_input_is_refused(real):
    model = real.vit()
    with pytest.raises(InputError, match="one target for each image"):
        attention_gradients(model, real.pixels, [1, 2, 3])
    with pytest.raises(ValueError, match="sa_ffn_block_00_att"):
        attention_gradients(model, real.pixels, 0, ["sa_ffn_block_07_att"])
    with pytest.raises(InputError, match="finite"):
        attention_gradients(model, real.pixels * np.nan)


@pytest.mark.parametrize(
    ("num_classes", "is_regression", "num_outputs", "expected"),
    [
        (0, False, 0, "feature"),
        (5, False, 5, "top1"),
        (1, True, 1, 0),
        (2, True, 2, "feature"),
    ],
)
def test_the_usual_target(num_classes, is_regression, num_outputs, expected):
    problem = types.SimpleNamespace(is_regression=is_regression, num_outputs=num_outputs)
    model = types.SimpleNamespace(num_classes=num_classes, problem=problem)
    assert usual_target(model) == expected
