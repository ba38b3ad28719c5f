"""One set of rules: recipes and release records accept exactly what `Preprocessing` accepts."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from kerasvit.errors import InputError, UsageError
from kerasvit.images import Preprocessing
from kerasvit.images.cropping import CROP_MODES
from kerasvit.images.rules import INTERPOLATIONS, PREPROCESSING_RULES
from kerasvit.releases.schema import parse_releases
from kerasvit.training.recipe.reading import parse_recipe

GOOD = {
    "image_size": [32, 48],
    "crop_fraction": 0.9,
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
}
RELEASE = """
[releases.mine]
model = "vit_tiny"
layout = "dino"
preprocessing = "small"
num_classes = 7
num_parameters = 99
url = "https://example.org/mine.pth"
overrides = { image_shape = [64, 96, 3] }
[preprocessing.small]
"""


def _as_toml(value):
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"
    if isinstance(value, float):
        return repr(value)  # nan and inf as well
    return json.dumps(value)


def _of_class(values):
    try:
        return Preprocessing(**values).to_dict()
    except UsageError:
        return None


def _of_recipe(values):
    try:
        recipe = parse_recipe({"model": {"name": "vit_nano_patch4_32"}, "preprocessing": values})
    except InputError:
        return None
    return recipe.preprocessing.to_dict()


def _of_release(values):
    text = RELEASE + "".join(f"{key} = {_as_toml(value)}\n" for key, value in values.items())
    try:
        (release,) = parse_releases(text, "mine.toml")
    except InputError:
        return None
    return Preprocessing(**release.preprocessing).to_dict()


NUMBERS = strategies.one_of(
    strategies.integers(-2, 300),
    strategies.floats(-2, 300),
    strategies.sampled_from([0.0, -0.0, 1.0, 1 + 1e-9, 1e-300, float("nan"), float("inf")]),
    strategies.booleans(),
)
WORDS = strategies.sampled_from(
    [*INTERPOLATIONS, *CROP_MODES, "Bicubic", "cubic", "", "224", "123", "centre"]
)
VALUES = strategies.one_of(NUMBERS, WORDS, strategies.lists(NUMBERS | WORDS, max_size=4))


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(key=strategies.sampled_from(sorted(GOOD)), value=VALUES)
def test_recipes_and_releases_accept_what_the_class_accepts(key, value):
    values = {**GOOD, key: value}
    accepted = _of_class(values)
    assert _of_recipe(values) == accepted
    assert _of_release(values) == accepted


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(
    size=strategies.lists(strategies.integers(1, 999), min_size=2, max_size=2),
    fraction=strategies.floats(0, 1, exclude_min=True),
    mean=strategies.lists(strategies.floats(-9, 9), min_size=3, max_size=3),
    std=strategies.lists(strategies.floats(1e-9, 9), min_size=3, max_size=3),
)
def test_good_values_are_kept_alike(size, fraction, mean, std):
    values = {**GOOD, "image_size": size, "crop_fraction": fraction, "mean": mean, "std": std}
    assert _of_class(values) == _of_recipe(values) == _of_release(values) == values


@pytest.mark.parametrize(
    ("key", "value"),
    [("crop_fraction", 0.0), ("interpolation", "sinc"), ("mean", "123"), ("crop_fraction", True)],
)
def test_a_value_is_refused_by_all_three(key, value):
    values = {**GOOD, key: value}
    assert _of_class(values) is _of_recipe(values) is _of_release(values) is None


@pytest.mark.parametrize("interpolation", ["hamming", "box"])
def test_every_filter_of_the_class_is_one_of_a_recipe(interpolation):
    assert _of_recipe({**GOOD, "interpolation": interpolation})["interpolation"] == interpolation


def test_arrays_and_numbers_of_numpy_are_values_too():
    made = Preprocessing(
        np.array([32, 48]),
        crop_fraction=np.float32(0.5),
        mean=np.float32([0.5, 0.5, 0.5]),
        std=tuple(np.float64([0.25, 0.25, 0.25])),
    )
    assert made.image_size == (32, 48)
    assert all(type(side) is int for side in made.image_size)
    assert type(made.crop_fraction) is float


def test_each_key_has_a_rule():
    assert set(PREPROCESSING_RULES) == set(GOOD)
