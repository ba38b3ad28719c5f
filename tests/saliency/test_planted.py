"""Where methods point in pictures of noise with two planted textures, each of its own class."""

import numpy as np
import pytest

from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.explain import explain

# As their papers have them, grad_attention can only choose among heads, smoothgrad takes absolute
# values, and Grad-CAM has one weight a channel: see the test of these below.
METHODS = {
    "grad_attention": {"weights": "patch"},
    "smoothgrad": {"times_input": True, "noise": 0.3},
    "relevance": {},
    "legrad": {},
    "headwise": {"steps": 8},
    "gradcam": {},
    "integrated_gradients": {"steps": 8},
    "occlusion": {},
    "rise": {"masks": 400, "cells": 5},
}
OF_ONE = {
    # A ViT's first block is read out badly by a head that never saw it.
    ("vit", "legrad"): {"start_layer": 1},
    ("cait", "gradcam"): {"weights": "patch"},
}
COUNT = 24


def pointed(model, pixels, method, targets, options):
    """Return the patch with the highest value of each image."""
    settings = {"target": targets.tolist(), "batch_size": 200, **options}
    values = explain(model, pixels, method, **settings).values
    return values.reshape(len(values), -1).argmax(axis=1)


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_the_models_know_the_textures(planted, name):
    pixels, classes, _ = planted.plant(64, seed=5)
    logits = to_numpy(planted.models[name](pixels)[0])
    # Both planted classes come before the two others.
    best = np.sort(np.argsort(-logits, axis=1)[:, :2], axis=1)
    assert (best == np.sort(classes, axis=1)).all(axis=1).mean() > 0.95


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["vit", "cait"])
def test_the_map_points_at_the_class_and_moves_with_it(planted, name, method):
    count = {"rise": 4, "occlusion": 8, "grad_attention": 100, "gradcam": 100}.get(method, COUNT)
    pixels, classes, places = planted.plant(count, seed=6)
    options = METHODS[method] | (OF_ONE.get((name, method), {}))
    for which in (0, 1):
        found = pointed(planted.models[name], pixels, method, classes[:, which], options)
        assert (found == places[:, which]).mean() > 0.95


@pytest.mark.parametrize("name", ["vit", "cait"])
@pytest.mark.parametrize("method", ["grad_attention", "smoothgrad"])
def test_the_options_are_what_makes_these_tell_classes_apart(planted, name, method):
    pixels, classes, places = planted.plant(100, seed=6)
    shares = [
        (
            pointed(planted.models[name], pixels, method, classes[:, 0], options) == places[:, 0]
        ).mean()
        for options in ({}, METHODS[method])
    ]
    assert shares[0] < 0.8 < 0.95 < shares[1]


def test_grad_cam_of_cait_is_coarse_but_does_not_point_at_the_other_class(planted):
    pixels, classes, places = planted.plant(COUNT, seed=6)
    for which in (0, 1):
        found = pointed(planted.models["cait"], pixels, "gradcam", classes[:, which], {})
        assert (found == places[:, which]).mean() > 0.5
        assert (found == places[:, 1 - which]).mean() < 0.1


def test_attention_finds_both_and_knows_no_class(planted):
    pixels, classes, places = planted.plant(COUNT, seed=6)
    maps = [
        explain(planted.models["cait"], pixels, "attention", target=classes[:, which]).values
        for which in (0, 1)
    ]
    np.testing.assert_array_equal(*maps)
    best = maps[0].reshape(COUNT, -1).argmax(axis=1)
    assert np.isin(best, places).mean() > 0.9
