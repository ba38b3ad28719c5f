"""Heads of any kind: one logit, many labels, a regression; what each method explains of them."""

import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.evaluation import evaluate_saliency
from kerasvit.models import CaiT, VisionTransformer
from kerasvit.models.problem import MULTI_LABEL, REGRESSION
from kerasvit.saliency import METHODS, explain

SIZES = {
    "image_shape": (12, 20, 3),
    "patch_size": 4,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 2,
    "mlp_dim": 20,
    "layer_scale_init_value": 0.7,
}
FEW = {
    "headwise": {"steps": 2},
    "integrated_gradients": {"steps": 2},
    "smoothgrad": {"samples": 1},
    "rise": {"masks": 12},
}
PIXELS = np.random.default_rng(5).normal(size=(2, 12, 20, 3)).astype(np.float32)
BY_CLASS = sorted(name for name, method in METHODS.items() if "target" in method.takes)


def _model(num_classes, family=VisionTransformer, **record):
    model = family(**SIZES, num_classes=num_classes, record=record)
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "head/" not in weight.path:
            weight.assign(random.normal(scale=0.4, size=weight.shape))
    kernel = random.normal(size=(12, 3))
    model.head.kernel.assign(kernel[:, :num_classes])
    model.head.bias.assign([0.3, -0.2, 0.1][:num_classes])
    return model


def _two_classes(one, sign):
    """Return a softmax of two classes that says what the one logit, times a sign, says of one."""
    model = type(one)(**SIZES, num_classes=2)
    for own, other in zip(model.weights, one.weights, strict=True):
        if "head/" not in own.path:
            own.assign(other)
    kernel, bias = sign * np.array(one.head.kernel), sign * np.array(one.head.bias)
    model.head.kernel.assign(np.concatenate([kernel, 0 * kernel], axis=1))
    model.head.bias.assign(np.concatenate([bias, 0 * bias]))
    return model


def _map(model, method, target=None):
    return explain(model, PIXELS, method, target=target, **FEW.get(method, {})).values


@pytest.mark.parametrize("family", [VisionTransformer, CaiT])
@pytest.mark.parametrize("method", BY_CLASS)
def test_yes_and_no_of_one_logit_are_two_classes(method, family):
    one = _model(1, family)
    maps = {}
    for answer, sign in ((1, 1), (0, -1)):
        maps[answer] = _map(one, method, answer)
        expected = _map(_two_classes(one, sign), method, 0)
        np.testing.assert_allclose(maps[answer], expected, atol=1e-4 * np.abs(expected).max())
    # What keeps positive parts alone may find none for one of them.
    assert max(map(np.ptp, maps.values())) > 0
    # Those of absolute values are the same for a class and for its opposite.
    assert method == "smoothgrad" or not np.allclose(maps[0], maps[1], atol=0)


def test_rise_of_yes_and_of_no_add_up_to_one():
    model = _model(1)
    np.testing.assert_allclose(_map(model, "rise", 0) + _map(model, "rise", 1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["rise", "occlusion", "relevance"])
def test_a_label_among_many_is_explained_as_if_it_were_alone(method):
    many, alone = _model(3, problem_type=MULTI_LABEL), _model(1)
    np.testing.assert_allclose(_map(many, method, 0), _map(alone, method, 1), atol=1e-5)


def test_top1_is_the_more_probable_answer_and_names_are_known():
    model = _model(1, class_names=["cat"])
    found = explain(model, PIXELS, "relevance")
    expected = tuple((found.logits[:, 0] > 0).astype(int).tolist())
    assert found.target == expected
    for name, number in (("cat", 1), ("not cat", 0)):
        assert explain(model, PIXELS, "relevance", target=name).target == (number, number)
    with pytest.raises(UsageError, match="no such class"):
        explain(model, PIXELS, "relevance", target=2)


def test_a_regression_explains_its_value_and_has_no_first_class():
    one, three = (_model(count, problem_type=REGRESSION) for count in (1, 3))
    np.testing.assert_allclose(_map(one, "occlusion"), _map(_model(1), "occlusion", 1), atol=1e-6)
    assert explain(three, PIXELS, "occlusion").target is None
    np.testing.assert_allclose(_map(three, "occlusion", 0), _map(one, "occlusion"), atol=1e-5)
    with pytest.raises(UsageError, match=r"A regression has values.*from 0 to 2"):
        explain(three, PIXELS, "relevance", target="top1")


@pytest.mark.parametrize("target", [0, 1])
def test_metrics_of_one_logit_are_those_of_two_classes(target):
    one = _model(1)
    two = _two_classes(one, 1 if target else -1)
    settings = {"methods": ["relevance"], "metrics": ["perturbation", "insertion_deletion"]}
    found = evaluate_saliency(one, PIXELS, target=target, steps=4, **settings)["methods"]
    expected = evaluate_saliency(two, PIXELS, target=0, steps=4, **settings)["methods"]
    for metric in settings["metrics"]:
        curves, theirs = (each["relevance"][metric]["curves"] for each in (found, expected))
        for name, values in curves.items():
            np.testing.assert_allclose(values, theirs[name], atol=2e-5)


def test_a_label_of_many_survives_from_half_on():
    model = _model(3, problem_type=MULTI_LABEL)
    settings = {"methods": ["relevance"], "metrics": ["perturbation"], "target": 2}
    alone = _model(1)
    alone.head.kernel.assign(np.array(model.head.kernel)[:, 2:])
    alone.head.bias.assign(np.array(model.head.bias)[2:])
    found = evaluate_saliency(model, PIXELS, **settings)["methods"]["relevance"]["perturbation"]
    settings["target"] = 1
    expected = evaluate_saliency(alone, PIXELS, **settings)["methods"]["relevance"]
    for name, values in found["curves"].items():
        np.testing.assert_allclose(values, expected["perturbation"]["curves"][name], atol=2e-5)
