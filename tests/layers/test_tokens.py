"""Patch embedding, learned tokens and position embedding."""

import keras
import numpy as np
import pytest

from kerasvit.layers import LearnedTokens, PatchEmbedding, PositionEmbedding
from kerasvit.layers.position_resampling import RULES, resample_grid

IMAGES = (2, 12, 30, 2)
PATCH = (4, 6)


@pytest.mark.backend
@pytest.mark.parametrize("use_bias", [True, False])
def test_patch_embedding_equals_a_torch_convolution(tools, use_bias):
    import torch

    layer = tools.built(PatchEmbedding(7, PATCH, use_bias=use_bias), IMAGES)
    convolution = torch.nn.Conv2d(2, 7, PATCH, stride=PATCH, bias=use_bias)
    tools.copy_dense(layer.projection, convolution)
    images = tools.random_tokens(*IMAGES)
    features = tools.run_torch(convolution, images.transpose(0, 3, 1, 2))
    expected = features.reshape(2, 7, 15).transpose(0, 2, 1)
    np.testing.assert_allclose(tools.to_numpy(layer(images)), expected, atol=1e-5)


@pytest.mark.parametrize(("row", "column"), [(1, 2), (0, 4), (2, 0)])
def test_patches_follow_row_by_row(tools, row, column):
    layer = tools.built(PatchEmbedding(7, PATCH, use_bias=False), IMAGES)
    images = np.zeros(IMAGES, np.float32)
    images[1, 4 * row : 4 * row + 4, 6 * column : 6 * column + 6] = 1
    lit = np.abs(tools.to_numpy(layer(images))).max(axis=-1) > 0
    expected = np.zeros((2, 15), bool)
    expected[1, 5 * row + column] = True
    np.testing.assert_array_equal(lit, expected)


@pytest.mark.parametrize("size", [(13, 30), (12, 31), (3, 6)])
def test_patch_embedding_refuses_what_it_would_have_to_cut_off(tools, size):
    layer = tools.built(PatchEmbedding(7, PATCH), IMAGES)
    with pytest.raises(ValueError, match=rf"multiples of the patch size.*{size[0]}x{size[1]}"):
        layer(np.zeros((1, *size, 2), np.float32))
    with pytest.raises(ValueError, match="multiples of the patch size"):
        layer.compute_output_shape((None, *size, 2))


def test_patch_embedding_refuses_an_image_size_that_is_unknown():
    with pytest.raises(ValueError, match="must be known"):
        PatchEmbedding(7, PATCH).grid(None, 30)


@pytest.mark.backend
@pytest.mark.parametrize("batch", [1, 3])
def test_learned_tokens_come_first_and_are_the_same_for_every_sample(tools, batch):
    layer = tools.built(LearnedTokens(2), (batch, 5, 6))
    tokens = tools.random_tokens(batch, 5, 6)
    outputs = tools.to_numpy(layer(tokens))
    learned = np.repeat(tools.to_numpy(layer.tokens), batch, axis=0)
    np.testing.assert_array_equal(outputs[:, :2], learned)
    np.testing.assert_array_equal(outputs[:, 2:], tokens)
    np.testing.assert_array_equal(tools.to_numpy(layer.broadcast(tokens)), learned)


@pytest.mark.parametrize("num_prefix", [0, 2])
def test_position_embedding_adds_the_stored_embedding_on_the_stored_grid(tools, num_prefix):
    layer = tools.built(PositionEmbedding((3, 5), num_prefix), (2, num_prefix + 15, 6))
    tokens = tools.random_tokens(2, num_prefix + 15, 6)
    expected = tokens + tools.to_numpy(layer.embedding)
    for grid in (None, (3, 5), [3, 5]):
        np.testing.assert_array_equal(tools.to_numpy(layer(tokens, grid=grid)), expected)


@pytest.mark.backend
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("grid", [(3, 8), (7, 5), (6, 4)])
def test_position_embedding_resamples_as_numpy_does_and_keeps_the_prefix(tools, rule, grid):
    layer = tools.built(PositionEmbedding((3, 5), 2, rule), (None, None, 6))
    stored = tools.to_numpy(layer.embedding)
    outputs = tools.to_numpy(layer(np.zeros((2, 2 + grid[0] * grid[1], 6)), grid=grid))
    expected = resample_grid(stored[0, 2:].reshape(3, 5, 6), grid, rule).reshape(-1, 6)
    for sample in outputs:
        np.testing.assert_array_equal(sample[:2], stored[0, :2])
        np.testing.assert_allclose(sample[2:], expected, atol=1e-6, rtol=0)


@pytest.mark.backend
def test_the_stored_embedding_learns_from_images_of_another_size(tools):
    layer = tools.built(PositionEmbedding((3, 5), 1), (None, None, 6))
    weights = tools.random_tokens(1, 1 + 4 * 7, 6)
    factors = keras.ops.convert_to_tensor(weights)

    def loss():
        tokens = keras.ops.zeros((1, 1 + 4 * 7, 6))
        return keras.ops.sum(layer(tokens, grid=(4, 7)) * factors)

    gradient = tools.gradients(layer, loss)["embedding"]
    np.testing.assert_allclose(gradient[0, 0], weights[0, 0], atol=1e-6)
    # The sum is linear in the embedding, so its value is the gradient times the embedding.
    value = float(tools.to_numpy(loss()))
    np.testing.assert_allclose((gradient * tools.to_numpy(layer.embedding)).sum(), value, rtol=1e-5)
    assert (np.abs(gradient) > 1e-4).mean() > 0.9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PatchEmbedding(0), "hidden_dim must be"),
        (lambda: PatchEmbedding(8, (0, 4)), "patch_size must be"),
        (lambda: PatchEmbedding(8, (4, 4, 4)), "patch_size must be"),
        (lambda: LearnedTokens(0), "num_tokens must be"),
        (lambda: PositionEmbedding((3, 5), resampling="nearest"), "resampling must be one of"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)
