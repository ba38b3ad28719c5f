import dataclasses

import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.training.data.augmentation import Moves
from kerasvit.training.data.recipe_data import RunData
from kerasvit.training.distillation.teachers import with_teacher
from kerasvit.training.run.building import build_model

WIDTH = 5


@pytest.fixture
def prepared(tiny, tmp_path):
    """Function from settings to what `with_teacher` returns, and the labels."""

    def make(count=None, **settings):
        recipe = tiny()
        preprocessing = recipe.preprocessing
        data = RunData(recipe.data, preprocessing)
        classes, count = len(data.class_names), count or len(data)
        student = build_model(recipe, classes)
        patches = student.token_layout(preprocessing.image_size).num_patches
        tokens = np.random.default_rng(0).normal(size=(len(data), patches, WIDTH))
        logits = np.random.default_rng(1).normal(size=(count, classes))
        np.save(tmp_path / "tokens.npy", tokens.astype("float16"))
        np.save(tmp_path / "logits.npy", logits.astype("float32"))
        made = {"kind": "features", "cache": str(tmp_path / "tokens.npy"), **settings}
        if "logits" in made:
            made["logits"] = str(tmp_path / "logits.npy")
        recipe = dataclasses.replace(
            recipe, distillation=dataclasses.replace(recipe.distillation, **made)
        )
        _, follow = with_teacher(student, recipe, preprocessing, data, tmp_path)
        grid = student.token_layout(preprocessing.image_size).grid
        return follow, grid, data.pictures.labels, logits

    return make


def _still(count):
    return Moves(np.zeros((count, 2), int), np.zeros(count, bool))


def test_labels_are_shared_with_the_teachers_probabilities(prepared):
    follow, grid, labels, logits = prepared(logits="yes", logits_share=0.25, temperature=2.0)
    chosen = np.array([3, 0, 7])
    found = follow(chosen, _still(3), grid=grid)["labels"]
    said = np.exp(logits[chosen] / 2.0)
    said /= said.sum(axis=1, keepdims=True)
    expected = 0.75 * np.eye(logits.shape[1])[labels[chosen]] + 0.25 * said
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_without_logits_the_labels_stay_the_pictures_own(prepared):
    follow, grid, _, _ = prepared()
    assert set(follow(np.array([1, 2]), _still(2), grid=grid)) == {"teacher", "valid"}


def test_logits_of_other_pictures_are_refused(prepared):
    with pytest.raises(InputError, match="of each training picture"):
        prepared(count=3, logits="yes", logits_share=0.5)
