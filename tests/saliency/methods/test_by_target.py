"""Methods that explain a class: each against its formula, written out, and what all promise."""

import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.saliency import METHODS, explain
from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.gradients import attention_gradients, input_gradients, tap_gradients
from kerasvit.saliency.methods.baselines import make_baseline

BY_TARGET = {
    "grad_attention": {},
    "relevance": {},
    "legrad": {},
    "headwise": {"steps": 2},
    "gradcam": {},
    "integrated_gradients": {"steps": 2},
    "smoothgrad": {"samples": 2},
    "occlusion": {},
    "rise": {"masks": 12},
}
FORWARD = ("attention", "rollout", "class_attention_rollout", "tokencut", "lost")


def one_hot(classes):
    return np.eye(5, dtype=np.float32)[list(classes)]


def test_the_methods_that_know_a_class_are_all_here():
    assert set(BY_TARGET) == set(METHODS) - set(FORWARD)


def test_grad_attention_weighs_heads_by_their_mean_gradient(real):
    model = real.vit()
    found = explain(model, real.pixels, "grad_attention", target=2)
    _, scores, gradients = attention_gradients(model, real.pixels, 2)
    scores, gradients = scores["sa_ffn_block_01_att"], gradients["sa_ffn_block_01_att"]
    expected = np.zeros((2, 15))
    for head in range(3):
        weight = gradients[:, head, 0, 1:].mean(axis=1)
        expected += weight[:, None] * scores[:, head, 0, 1:] / 3
    expected = np.maximum(expected, 0).reshape(2, 3, 5)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.layers == ("sa_ffn_block_01_att",)
    own = explain(model, real.pixels, "grad_attention", target=2, weights="patch")
    expected = np.maximum((scores * gradients)[:, :, 0, 1:].mean(axis=1), 0)
    np.testing.assert_allclose(own.values.reshape(2, 15), expected, atol=1e-6)
    assert own.settings == {"weights": "patch"}


@pytest.mark.parametrize(("name", "layer", "key"), [("vit", None, "sa_01"), ("cait", 1, "ca_01")])
def test_grad_cam_weighs_channels_by_their_mean_gradient(real, name, layer, key):
    model = getattr(real, name)()
    found = explain(model, real.pixels, "gradcam", target=2, layer=layer)
    place = f"{key[:2]}_ffn_block_{key[3:]}_tokens"
    _, tokens, gradients = tap_gradients(model, real.pixels, one_hot([2, 2]), [place])
    weights = gradients[place][:, 1:].mean(axis=1)
    expected = np.maximum(np.einsum("bc,bpc->bp", weights, tokens[place][:, 1:]), 0)
    np.testing.assert_allclose(found.values.reshape(2, 15), expected, atol=1e-5)
    assert found.layers == (place.replace("tokens", "att"),)
    own = explain(model, real.pixels, "gradcam", target=2, layer=layer, weights="patch")
    products = (tokens[place] * gradients[place])[:, 1:].sum(axis=-1)
    np.testing.assert_allclose(own.values.reshape(2, 15), np.maximum(products, 0), atol=1e-5)


def test_legrad_is_the_mean_positive_gradient_of_each_block_read_out(real):
    model = real.vit()
    found = explain(model, real.pixels, "legrad", target=[0, 4])
    weights = one_hot([0, 4])
    expected = 0
    for depth in (1, 2):
        key = f"sa_ffn_block_{depth - 1:02d}_att"
        _, _, gradients = tap_gradients(real.vit(num_layers=depth), real.pixels, weights, [key])
        expected = expected + np.maximum(gradients[key], 0).mean(axis=(1, 2))[:, 1:] / 2
    np.testing.assert_allclose(found.values.reshape(2, 15), expected, atol=1e-6)
    last = explain(model, real.pixels, "legrad", target=[0, 4], start_layer=1)
    assert last.layers == ("sa_ffn_block_01_att",)
    with pytest.raises(UsageError, match="no class token to read"):
        explain(real.cait(), real.pixels, "legrad", stage="sa", query="mean")


def test_headwise_multiplies_attention_and_integrated_gradient(real):
    model = real.vit()
    found = explain(model, real.pixels, "headwise", target=1, steps=3, start_layer=0)
    _, scores, gradients = attention_gradients(model, real.pixels, 1)
    matrix = np.eye(16)[None]
    for key in scores:
        products = np.einsum("bhqn,bhqm->bhnm", scores[key], gradients[key])
        shares = np.abs(products).mean(axis=(2, 3))
        shares = shares / shares.sum(axis=1, keepdims=True)
        matrix = matrix + np.einsum("bh,bhqn->bqn", shares, scores[key]) @ matrix
    total = 0
    for share in (0, 0.5, 1):
        pixels = np.float32(share) * real.pixels
        total = total + attention_gradients(model, pixels, 1)[2]["sa_ffn_block_01_att"]
    feedback = np.maximum(total / 3, 0).mean(axis=1)
    expected = (feedback * matrix)[:, 0, 1:].reshape(2, 3, 5)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * expected.max())
    assert found.settings == {"steps": 3, "start_layer": 0}


def test_integrated_gradients_add_up_to_the_change_of_the_logit(real):
    model = real.vit()
    options = {"steps": 32, "baseline": "blur"}
    found = explain(model, real.pixels, "integrated_gradients", target=2, **options)
    start = make_baseline(model, real.pixels, "blur")
    change = to_numpy(model(real.pixels)[0])[:, 2] - to_numpy(model(start)[0])[:, 2]
    np.testing.assert_allclose(found.values.sum(axis=(1, 2)), change, rtol=0.01, atol=2e-3)
    assert found.settings == options


def test_smoothgrad_without_noise_is_the_gradient_itself(real):
    model = real.vit()
    found = explain(model, real.pixels, "smoothgrad", target=2, samples=1, noise=0.0)
    _, gradient = input_gradients(model, real.pixels, one_hot([2, 2]))
    for row, column in [(0, 0), (1, 3), (2, 4)]:
        cell = np.abs(gradient[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4])
        np.testing.assert_allclose(
            found.values[:, row, column], cell.sum(axis=(1, 2, 3)), rtol=1e-5
        )
    noisy = [
        explain(model, real.pixels, "smoothgrad", target=2, samples=1, seed=seed).values
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert np.abs(noisy[0] - noisy[2]).max() > 1e-4
    bare = {"samples": 1, "noise": 0.0, "times_input": True}
    times = explain(model, real.pixels, "smoothgrad", target=2, **bare).values
    cells = (gradient * real.pixels).reshape(2, 3, 4, 5, 4, 3).sum(axis=(2, 4, 5))
    np.testing.assert_allclose(times, np.maximum(cells, 0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", BY_TARGET)
def test_each_image_has_its_own_map_in_any_batch(real, method):
    model = real.vit()
    together = explain(model, real.pixels, method, target=[1, 4], **BY_TARGET[method])
    assert together.values.shape == (2, 3, 5)
    assert together.values.dtype == np.float32
    assert together.method == method
    assert together.target == (1, 4)
    assert together.logits.shape == (2, 5)
    parts = explain(model, real.pixels, method, target=[1, 4], batch_size=1, **BY_TARGET[method])
    largest = np.abs(together.values).max()
    np.testing.assert_allclose(parts.values, together.values, atol=1e-4 * largest)


@pytest.mark.parametrize("method", BY_TARGET)
def test_cait_is_explained_too_and_the_class_matters(real, method):
    maps = [
        explain(real.cait(), real.pixels[:1], method, target=target, **BY_TARGET[method]).values
        for target in (0, 3)
    ]
    assert maps[0].shape == (1, 3, 5)
    assert np.isfinite(maps).all()
    assert np.abs(maps[0] - maps[1]).max() > 1e-4 * np.abs(maps[0]).max()


def test_the_head_decides_which_tokens_are_read(real):
    pixels = real.pixels[:1]
    average = real.vit(pooling="average")
    assert explain(average, pixels, "relevance").query == "patches"
    assert explain(average, pixels, "grad_attention").values.any()
    distilled = real.vit(use_distillation_token=True, layer_scale_init_value=0.5)
    assert explain(distilled, pixels, "relevance").query == "mean"


def test_a_direction_for_each_picture_stands_for_a_class(real):
    model = real.vit()
    classes = [2, 0][: len(real.pixels)] + [1] * (len(real.pixels) - 2)
    directions = 3 * np.eye(model.num_classes, dtype=np.float32)[classes]
    for method in ("relevance", "occlusion"):
        one, other = (
            explain(model, real.pixels, method, target=target).values
            for target in (classes, directions)
        )
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    for wrong in (directions[:, 1:], directions[:1], directions * np.nan):
        with pytest.raises(InputError):
            explain(model, real.pixels, "relevance", target=wrong)


def test_a_feature_is_explained_without_a_class(real):
    found = explain(real.vit(num_classes=0), real.pixels, "gradcam")
    assert found.target is None
    assert found.values.any()


def test_saved_maps_keep_their_target(real, tmp_path):
    found = explain(real.vit(), real.pixels, "rise", masks=4)
    found.save_npz(tmp_path / "map.npz")
    again = type(found).load_npz(tmp_path / "map.npz")
    assert again.target == found.target == tuple(found.logits.argmax(axis=1).tolist())
    assert again.settings == found.settings


@pytest.mark.parametrize(
    ("method", "options", "match"),
    [
        ("headwise", {"steps": 1}, "at least two"),
        ("integrated_gradients", {"steps": 0}, "at least one"),
        ("smoothgrad", {"samples": 0}, "at least one"),
        ("smoothgrad", {"times_input": "yes"}, "0 or 1"),
        ("gradcam", {"weights": "max"}, "'mean' or 'patch'"),
        ("grad_attention", {"weights": "max"}, "'mean' or 'patch'"),
        ("rise", {"kept": 1.0}, "between 0 and 1"),
        ("rise", {"masks": 0}, "at least one"),
        ("occlusion", {"baseline": "white"}, "'mean', 'black', 'blur'"),
        ("occlusion", {"baseline": "black"}, "preprocessing"),
        ("gradcam", {"target": "cat"}, "no class names"),
        ("gradcam", {"layer": 7}, "sa_ffn_block_01_att"),
        ("occlusion", {"mask": 1}, "It takes baseline"),
    ],
)
def test_what_cannot_be_is_refused(real, method, options, match):
    with pytest.raises(UsageError, match=match) as caught:
        explain(real.vit(), real.pixels, method, **options)
    assert "\n" not in str(caught.value)
