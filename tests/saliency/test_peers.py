"""Agreement with other tools on the same weights; their maps are in `tests/golden/peers.npz`."""

import importlib.util
import pathlib
import unittest.mock

import numpy as np
import pytest

import kerasvit
from kerasvit.saliency import explain
from kerasvit.saliency.backends import to_numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "peers.npz"
TARGETS = [1, 3]
SIZES = {
    "image_shape": (12, 20, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 24,
}
OPTIONS = {
    "integrated_gradients": {"steps": 16},
    "smoothgrad": {"samples": 6, "noise": 0.15, "seed": 0},
    "legrad": {"start_layer": 0},
    "headwise": {"steps": 16, "start_layer": 0},
    "gradcam": {},
    "occlusion": {},
    "relevance": {},
    "rollout": {},
    "grad_attention": {},
    "class_attention_rollout": {},
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def models(golden):
    """Our models with the weights of the PyTorch models that the other tools looked at."""
    import keras

    def zeros(initializer, shape, dtype=None):
        return np.zeros(shape, dtype)

    # JAX takes seconds to draw a random start.
    with unittest.mock.patch.object(keras.initializers.TruncatedNormal, "__call__", zeros):
        models = {
            "vit": kerasvit.VisionTransformer(**SIZES),
            "cait": kerasvit.CaiT(**SIZES, num_class_layers=2),
        }
    for name, model in models.items():
        for variable in model.weights:
            path = variable.path.split("/", 1)[1]
            variable.assign(golden[f"{name}/weights/{path}"])
    return models


def maps_of(name):
    with np.load(GOLDEN) as arrays:
        keys = [key.split("/")[-1] for key in arrays.files if key.startswith(f"{name}/maps/")]
    return [(name, key) for key in keys]


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_the_models_are_the_same(models, golden, name):
    logits = to_numpy(models[name](golden["pixels"], training=False)[0])
    np.testing.assert_allclose(logits, golden[f"{name}/logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "method"), [*maps_of("vit"), *maps_of("cait")])
def test_agrees_with_the_other_tool(models, golden, name, method):
    expected = golden[f"{name}/maps/{method}"]
    result = explain(models[name], golden["pixels"], method, target=TARGETS, **OPTIONS[method])
    assert expected.std() > 0.05 * np.abs(expected).max(), "a map of nothing proves nothing"
    np.testing.assert_allclose(
        result.values, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )


def test_every_tool_is_in_the_file():
    assert {method for _, method in maps_of("vit")} == set(OPTIONS) - {"class_attention_rollout"}
    assert {"gradcam", "integrated_gradients", "relevance"} <= {m for _, m in maps_of("cait")}


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("captum", "pytorch_grad_cam", "torchcam")),
    reason="the other tools are not installed; tests/golden/make_peers.py says how",
)
def test_the_file_is_what_the_tools_say_today(golden, tmp_path, monkeypatch):
    path = GOLDEN.with_name("make_peers.py")
    spec = importlib.util.spec_from_file_location("make_peers", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "PATH", tmp_path / "peers.npz")
    script.main()
    with np.load(tmp_path / "peers.npz") as again:
        assert set(again.files) == set(golden)
        for key in again.files:
            np.testing.assert_allclose(again[key], golden[key], rtol=1e-4, atol=1e-5)
