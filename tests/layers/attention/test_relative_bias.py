"""Relative position biases: each pair of patches has that of its distance; timm's resampling."""

import warnings

import keras
import numpy as np
import pytest

from kerasvit.layers import RelativePositionBias, SelfAttention
from kerasvit.layers.attention.relative_bias import distance_matrix


def made(grid, heads=2, seed=0):
    layer = RelativePositionBias(grid, heads)
    layer.build()
    layer.table.assign(np.random.default_rng(seed).normal(size=layer.table.shape))
    return layer, keras.ops.convert_to_numpy(layer.table)


@pytest.mark.backend
@pytest.mark.parametrize("grid", [(3, 5), (4, 2), (1, 3)])
def test_each_pair_has_the_bias_of_its_distance(grid):
    layer, table = made(grid)
    bias = keras.ops.convert_to_numpy(layer.bias())
    width = 2 * grid[1] - 1
    places = [(row, column) for row in range(grid[0]) for column in range(grid[1])]
    for i, asks in enumerate(places):
        for j, other in enumerate(places):
            down, right = asks[0] - other[0] + grid[0] - 1, asks[1] - other[1] + grid[1] - 1
            np.testing.assert_array_equal(bias[:, 1 + i, 1 + j], table[down * width + right])
    np.testing.assert_array_equal(bias[:, 0, 1:], np.tile(table[-3][:, None], len(places)))
    np.testing.assert_array_equal(bias[:, 1:, 0], np.tile(table[-2][:, None], len(places)))
    np.testing.assert_array_equal(bias[:, 0, 0], table[-1])


SIZES = [
    ((4, 4), (6, 9)),
    ((4, 4), (4, 7)),
    ((7, 7), (3, 5)),
    ((3, 5), (5, 3)),
    ((14, 14), (24, 32)),
]


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_tables_are_resampled_as_timm_does(timm, old, new):
    import torch

    layer, table = made(old)
    shape = ((2 * new[0] - 1) * (2 * new[1] - 1) + 3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        tensor = torch.from_numpy(np.array(table))
        theirs = timm.layers.resize_rel_pos_bias_table(tensor, new, shape, old)
    target, _ = made(new)
    target.table.assign(theirs.numpy())
    found = keras.ops.convert_to_numpy(layer.bias(new))
    expected = keras.ops.convert_to_numpy(target.bias())
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(("old", "new"), [(4, 9), (9, 4), (1, 3), (5, 5)])
def test_resampling_keeps_the_middle_and_sums(old, new):
    matrix = distance_matrix(old, new)
    assert matrix.shape == (2 * new - 1, 2 * old - 1)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-6)
    assert matrix[new - 1, old - 1] == 1


@pytest.mark.backend
@pytest.mark.parametrize("grid", [(3, 5), (20, 17)])
def test_the_bias_is_inside_the_scores_in_every_mode(grid):
    attention = SelfAttention(2, relative_grid=(3, 5))
    attention.build((None, None, 8))
    random = np.random.default_rng(0)
    for weight in attention.weights:
        weight.assign(random.normal(size=weight.shape) / 2)
    tokens = random.normal(size=(2, 1 + grid[0] * grid[1], 8)).astype("float32")
    outputs, scores = attention(tokens, grid=grid)
    joint = keras.ops.convert_to_numpy(attention.joint(tokens))
    query, key, _ = np.moveaxis(joint.reshape(2, -1, 3, 2, 4), (2, 3), (0, 2))
    logits = query @ np.swapaxes(key, -1, -2) / 2
    logits = logits + keras.ops.convert_to_numpy(attention.relative_bias.bias(grid))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected = powers / powers.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(scores), expected, atol=2e-6)
    for rows in (0, 1, 2):  # Fused, in parts.
        fused, some = attention(tokens, score_rows=rows, grid=grid)
        difference = keras.ops.convert_to_numpy(fused) - keras.ops.convert_to_numpy(outputs)
        assert np.abs(difference).max() < 1e-5
        if rows:
            first = keras.ops.convert_to_numpy(some)
            np.testing.assert_allclose(first, expected[:, :, :rows], atol=2e-6)
