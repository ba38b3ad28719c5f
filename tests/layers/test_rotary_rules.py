"""Rules of rotary positions, against their formulas written out for one patch and one angle."""

import math

import keras
import ml_dtypes
import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.layers import RotaryEmbedding
from kerasvit.layers.rotary.rules import (
    PERIODS,
    RULES,
    check_periods,
    coordinates,
    dinov3_periods,
    named_periods,
    rotary_tables,
)
from kerasvit.layers.rotary.traced import traced_coordinates, traced_tables

# How each family counts: centred or not, which coordinate comes first, how frequencies fall.
FAMILIES = {
    "dinov3": (True, "rows", 100.0, "halves"),
    "eva02": (False, "rows", 10000.0, "pairs"),
    "pe": (False, "columns", 10000.0, "pairs"),
    "axial": (False, "columns", 100.0, "pairs"),
    "mixed": (False, "columns", 10.0, "pairs"),
}
GRID, HEAD_DIM = (3, 5), 12


def test_the_families_are_those_of_their_papers():
    ours = {
        name: (rule.coordinates == "centred", rule.order, rule.temperature, rule.layout)
        for name, rule in RULES.items()
    }
    assert ours == FAMILIES
    assert [name for name, rule in RULES.items() if rule.is_learned] == ["mixed"]


def _angle(name, row, column, index, reference, offset):
    """One of the d / 2 angles of a patch, in the words of the papers."""
    is_centred, order, temperature, _ = FAMILIES[name]
    quarter = HEAD_DIM // 4
    is_row = (index < quarter) == (order == "rows")
    place, count, of = (row, GRID[0], 0) if is_row else (column, GRID[1], 1)
    power = (index % quarter) / quarter
    if is_centred:
        centred = 2 * (place + 0.5 + offset) / count - 1
        return 2 * math.pi * centred / temperature**power
    place += offset
    if reference:
        place *= reference[of] / count
    return place / temperature**power


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"mixed"}))
@pytest.mark.parametrize("offset", [0.0, 0.25])
@pytest.mark.parametrize("reference", [None, (7, 4)])
def test_tables_are_the_formulas(name, reference, offset):
    reference = None if name == "dinov3" else reference
    cos, sin = rotary_tables(RULES[name], HEAD_DIM, GRID, 2, reference, offset)
    angles = np.zeros((2 + GRID[0] * GRID[1], HEAD_DIM // 2))
    for row in range(GRID[0]):
        for column in range(GRID[1]):
            angles[2 + row * GRID[1] + column] = [
                _angle(name, row, column, index, reference, offset)
                for index in range(HEAD_DIM // 2)
            ]
    np.testing.assert_allclose(cos, np.cos(angles), atol=2e-6)
    np.testing.assert_allclose(sin, np.sin(angles), atol=2e-6)
    assert cos.dtype == sin.dtype == np.float32


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize(("reference", "offset"), [(None, 0.0), ((7, 4), 0.25)])
@pytest.mark.parametrize("grid", [GRID, (1, 70)])
def test_operations_give_the_numbers(tools, name, reference, offset, grid):
    """What a file of any size holds, against what a model computes in NumPy."""
    rule = RULES[name]
    places = tools.to_numpy(traced_coordinates(rule, grid, reference, offset))
    np.testing.assert_allclose(places, coordinates(rule, grid, reference, offset), atol=2e-6)
    for periods in ("float32", "bfloat16", (1.0, 3.0, 5.0)):
        arguments = (rule, HEAD_DIM, grid, 2, reference, offset, periods)
        tables = zip(traced_tables(*arguments), rotary_tables(*arguments), strict=True)
        for given, wanted in tables:
            np.testing.assert_allclose(tools.to_numpy(given), wanted, atol=2e-5)


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("num_prefix", [0, 1])
def test_pairs_or_halves_are_turned_and_the_prefix_is_not(tools, name, num_prefix):
    """Against complex numbers: each pair of elements times e to the i angle."""
    layer = RotaryEmbedding(name, HEAD_DIM, num_blocks=2, num_heads=3)
    layer.build()
    heads = tools.random_tokens(2, 3, num_prefix + 15, HEAD_DIM)
    turned = tools.to_numpy(layer(heads, grid=GRID, block=1))
    if name == "mixed":
        waves = tools.to_numpy(layer.frequencies)[:, 1]
        places = coordinates(RULES[name], GRID)
        angles = places[:, :1] * waves[0][:, None] + places[:, 1:] * waves[1][:, None]
    else:
        cos, sin = rotary_tables(RULES[name], HEAD_DIM, GRID)
        angles = np.arctan2(sin, cos)
    if FAMILIES[name][3] == "halves":
        first, second = np.split(heads, 2, axis=-1)
    else:
        first, second = heads[..., 0::2], heads[..., 1::2]
    numbers = first + 1j * second
    numbers[:, :, num_prefix:] *= np.exp(1j * angles)
    parts = numbers.real, numbers.imag
    if FAMILIES[name][3] == "halves":
        expected = np.concatenate(parts, axis=-1)
    else:
        expected = np.stack(parts, axis=-1).reshape(heads.shape)
    np.testing.assert_allclose(turned, expected, atol=1e-5)
    assert layer.compute_output_shape(heads.shape) == heads.shape


def test_learned_frequencies_start_as_those_of_axial_in_any_direction(tools):
    """Of each block and head: two directions at a right angle, which fall as axial's do."""
    layer = RotaryEmbedding("mixed", HEAD_DIM, num_blocks=2, num_heads=3)
    layer.build()
    first, second = np.split(tools.to_numpy(layer.frequencies), 2, axis=-1)
    falling = 10.0 ** -(np.arange(3) / 3)
    for waves in (first, second):
        lengths = np.sqrt((waves**2).sum(0))
        np.testing.assert_allclose(lengths, np.broadcast_to(falling, (2, 3, 3)), rtol=1e-5)
    np.testing.assert_allclose((first * second).sum(0), 0, atol=1e-6)
    angles = np.arctan2(first[1, ..., 0], first[0, ..., 0])
    assert len(np.unique(angles.round(6))) == 6


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only PyTorch writes in place")
@pytest.mark.parametrize("name", ["dinov3", "eva02"])
def test_gradients_are_turned_back(tools, name):
    """A rotation keeps lengths: the gradient of half the squared length is the heads."""
    import torch

    layer = RotaryEmbedding(name, HEAD_DIM)
    heads = torch.tensor(tools.random_tokens(2, 3, 15, HEAD_DIM), requires_grad=True)
    turned = layer(heads, grid=GRID)
    (turned.square().sum() / 2).backward()
    np.testing.assert_allclose(heads.grad.numpy(), tools.to_numpy(heads), atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(
            tools.to_numpy(layer(heads, grid=GRID)), tools.to_numpy(turned), atol=1e-6
        )


def test_periods_are_named_or_kept():
    for head_dim, temperature in ((12, 100.0), (64, 100.0), (64, 50.0)):
        for name in PERIODS:
            values = dinov3_periods(head_dim, temperature, name)
            assert values[0] == 1
            assert len(values) == head_dim // 4
            assert named_periods(values, head_dim, temperature) == name
            # The last bit of a power is another one on another machine.
            assert named_periods(values * np.float32(1 + 1e-7), head_dim, temperature) == name
            others = values * np.float32(1 + 1e-4)
            assert named_periods(others, head_dim, temperature) == others.tolist()
    rounded = dinov3_periods(64, 100.0, "bfloat16")
    np.testing.assert_array_equal(rounded, rounded.astype(ml_dtypes.bfloat16).astype("float32"))
    assert named_periods([1.0, 2.0], 12) == [1.0, 2.0]
    own = dinov3_periods(12, 100.0, [1.0, 3.0, 5.0])
    assert own.dtype == np.float32
    assert own.tolist() == [1, 3, 5]


@pytest.mark.parametrize(
    "periods", ["float16", [1.0, 2.0], [1.0, 2.0, 0.0], [1.0, 2.0, -3.0], [1, 2, math.inf], []]
)
def test_periods_that_no_head_has(periods):
    with pytest.raises(UsageError, match=r'"bfloat16" or 3 positive numbers.*Received: ') as caught:
        check_periods(periods, HEAD_DIM)
    assert repr(periods) in str(caught.value)
    check_periods([1e-9, 2.0, 3.0], HEAD_DIM)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rope_type": "x", "head_dim": 8}, r"one of \('dinov3', .*Received: rope_type='x'"),
        ({"rope_type": "pe", "head_dim": 6}, r"multiple of 4. Received: head_dim=6"),
        ({"rope_type": "pe", "head_dim": 0}, r"Received: head_dim=0"),
        ({"rope_type": "pe", "head_dim": 8, "num_blocks": 0}, r"Received: num_blocks=0"),
        ({"rope_type": "pe", "head_dim": 8, "num_heads": 0}, r"Received: num_heads=0"),
        ({"rope_type": "dinov3", "head_dim": 8, "periods": [1.0]}, r"or 2 positive numbers"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        RotaryEmbedding(**arguments)
    assert "\n" not in str(caught.value)
