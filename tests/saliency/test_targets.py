"""What a model's maps explain where nobody says it."""

import types

import pytest

from kerasvit.saliency.targets import usual_target


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
