"""Differential attention, against its formula written out in NumPy."""

import math

import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.layers import DifferentialAttention

WIDTH, HEADS, GRID = 12, 3, (2, 4)


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _split(values, heads):
    return values.reshape(len(values), -1, heads, values.shape[-1] // heads).swapaxes(1, 2)


@pytest.mark.parametrize("relative_grid", [None, GRID])
@pytest.mark.parametrize("score_rows", [None, 1, 0])
def test_scores_are_the_difference_of_two_maps(tools, relative_grid, score_rows):
    """Ye et al. 2024, equations 1 to 3; both maps of a head have the bias of its places."""
    layer = DifferentialAttention(HEADS, initial_lambda=0.35, relative_grid=relative_grid)
    layer = tools.built(layer, (None, 9, WIDTH))
    tokens = tools.random_tokens(2, 9, WIDTH)
    grid = {} if relative_grid is None else {"grid": GRID}
    outputs, scores = layer(tokens, score_rows=score_rows, **grid)

    weights = {name: tools.to_numpy(value) for name, value in layer.lambda_vectors.items()}
    rate = np.exp(weights["query_1"] @ weights["key_1"])
    rate += 0.35 - np.exp(weights["query_2"] @ weights["key_2"])
    assert tools.to_numpy(layer.current_lambda()) == pytest.approx(rate, rel=1e-5)
    joint = tokens @ tools.to_numpy(layer.qkv.kernel) + tools.to_numpy(layer.qkv.bias)
    query, key, value = np.split(joint, 3, axis=-1)
    query, key, value = _split(query, 6), _split(key, 6), _split(value, 3)
    logits = query @ key.swapaxes(-1, -2) / math.sqrt(WIDTH / HEADS / 2)
    if relative_grid is not None:
        logits += np.repeat(tools.to_numpy(layer.relative_bias.bias(GRID, 9)), 2, axis=0)
    maps = _softmax(logits)
    expected = maps[:, 0::2] - rate * maps[:, 1::2]
    heads = expected @ value
    heads /= np.sqrt((heads**2).mean(-1, keepdims=True) + 1e-5)
    heads *= tools.to_numpy(layer.head_norm.scale) * (1 - 0.35)
    merged = heads.swapaxes(1, 2).reshape(2, 9, WIDTH)
    result = merged @ tools.to_numpy(layer.projection.kernel)
    result += tools.to_numpy(layer.projection.bias)
    np.testing.assert_allclose(tools.to_numpy(outputs), result, atol=2e-5)
    if score_rows == 0:
        assert scores is None
    else:
        ours = tools.to_numpy(scores)
        np.testing.assert_allclose(ours, expected[:, :, :score_rows], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "width", "message"),
    [
        (
            {"num_heads": 4, "num_key_value_heads": 2},
            16,
            r"as many heads.*value_heads=2, num_heads=4",
        ),
        ({"num_heads": 3}, 9, r"2 \* num_heads must divide.*num_heads=3, hidden_dim=9"),
        ({"num_heads": 5}, 12, r"num_heads=5, hidden_dim=12"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(arguments, width, message):
    with pytest.raises(UsageError, match=message):
        DifferentialAttention(**arguments).build((None, 8, width))
