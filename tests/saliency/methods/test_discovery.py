import sys

import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.explain import explain
from kerasvit.saliency.methods.discovery import last_keys, lost, tokencut
from kerasvit.saliency.request import make_request

pytest.importorskip("scipy")

GRID = (6, 8)
OBJECT = np.zeros(GRID, bool)
OBJECT[1:4, 2:5] = True


def planted_keys(seed=0, object_mask=OBJECT, noise=0.1):
    """Keys of an object and of a background that point away from each other."""
    rng = np.random.default_rng(seed)
    directions = np.zeros((2, 16))
    directions[0, 0], directions[1, :2] = 1, (-0.3, 1)
    keys = directions[1 - object_mask.reshape(-1).astype(int)]
    return (keys + noise * rng.normal(size=keys.shape)).astype(np.float32)


@pytest.mark.parametrize("find", [tokencut, lost])
def test_a_planted_object_is_cut_out_exactly(find):
    values, mask = find(planted_keys(), GRID)
    np.testing.assert_array_equal(mask, OBJECT)
    assert values[OBJECT].min() > values[~OBJECT].max()


@pytest.mark.parametrize("find", [tokencut, lost])
def test_only_the_piece_around_the_seed_is_kept(find):
    two = OBJECT.copy()
    two[5, 7] = True
    _, mask = find(planted_keys(object_mask=two), GRID)
    assert np.array_equal(mask, OBJECT) or np.array_equal(mask, two & ~OBJECT)


@pytest.mark.parametrize("find", [tokencut, lost])
def test_masks_turn_with_the_grid(find):
    keys = planted_keys()
    turned = keys.reshape(*GRID, -1).transpose(1, 0, 2).reshape(len(keys), -1)
    np.testing.assert_array_equal(find(turned, GRID[::-1])[1], OBJECT.T)


def test_the_cut_solves_the_eigenvalue_problem():
    keys = planted_keys(noise=0.8)
    values, _ = tokencut(keys, GRID)
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    weights = np.where(unit @ unit.T > 0.2, 1, 1e-5)
    degrees = weights.sum(axis=1)
    vector = values.reshape(-1)
    left = degrees * vector - weights @ vector
    ratio = left @ vector / (degrees * vector**2).sum()
    np.testing.assert_allclose(left, ratio * degrees * vector, atol=1e-8)
    everything = np.linalg.eigvalsh(
        np.eye(48) - weights / np.sqrt(degrees[:, None] * degrees[None])
    )
    assert ratio == pytest.approx(np.sort(everything)[1], abs=1e-8)


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_the_keys_are_those_of_the_last_self_attention(real, name):
    model = getattr(real, name)()
    keys, logits = last_keys(make_request(model, real.pixels, batch_size=1))
    assert keys.shape == (2, 15, 12)
    np.testing.assert_allclose(logits, to_numpy(model(real.pixels)[0]), atol=1e-5)
    block = model.blocks[-1]
    _, found = model.call_with_taps(real.pixels, {f"{block.name}_tokens": None})
    kernel, bias = (
        to_numpy(weight) for weight in (block.attention.qkv.kernel, block.attention.qkv.bias)
    )
    every = to_numpy(found[f"{block.name}_tokens"]) @ kernel[:, 12:24] + bias[12:24]
    np.testing.assert_allclose(keys, every[:, -15:], atol=1e-5)


@pytest.mark.parametrize("method", ["tokencut", "lost"])
def test_explain_gives_masks_or_values(real, method):
    mask = explain(real.vit(), real.pixels, method)
    assert mask.values.shape == (2, 3, 5)
    assert set(np.unique(mask.values)) <= {0, 1}
    assert mask.target is None
    values = explain(real.vit(), real.pixels, method, output="values")
    assert len(np.unique(values.values)) > 2
    with pytest.raises(UsageError, match="'mask' or 'values'"):
        explain(real.vit(), real.pixels, method, output="box")


def test_without_scipy_the_message_says_what_to_install(real, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    with pytest.raises(UsageError, match=r"kerasvit\[masks\]"):
        explain(real.vit(), real.pixels, "tokencut")
