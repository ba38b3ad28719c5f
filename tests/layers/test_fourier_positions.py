"""Sines and cosines of places, against the formula, place by place and wave by wave."""

import math

import keras
import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.layers import FourierPositions
from kerasvit.layers.base import (
    or_zeros,
    uniform_initializer,
    weight_initializer,
    without_random_start,
)
from kerasvit.layers.fourier_positions import fourier_waves, traced_waves


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 5), (4, 3)])
@pytest.mark.parametrize(("num_waves", "temperature"), [(2, 100.0), (6, 50.0)])
def test_waves_are_the_formula(rows, columns, num_waves, temperature):
    waves = fourier_waves(rows, columns, num_waves, temperature)
    assert waves.shape == (1, rows * columns, 2 * num_waves)
    for row in range(rows):
        for column in range(columns):
            expected = []
            for place, count in ((row, rows), (column, columns)):
                angle = 2 * math.pi * (place + 1) / count
                for pair in range(num_waves // 2):
                    turned = angle / temperature ** (2 * pair / num_waves)
                    expected += [math.sin(turned), math.cos(turned)]
            np.testing.assert_allclose(waves[0, row * columns + column], expected, atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 5), (3, 70)])
@pytest.mark.parametrize(("num_waves", "temperature"), [(2, 100.0), (32, 10000.0)])
def test_operations_give_the_numbers(tools, rows, columns, num_waves, temperature):
    """What a file of any size holds, against what a model computes in NumPy."""
    given = tools.to_numpy(traced_waves(rows, columns, num_waves, temperature))
    wanted = fourier_waves(rows, columns, num_waves, temperature)
    assert given.shape == wanted.shape
    np.testing.assert_allclose(given, wanted, atol=5e-6)


def test_the_projected_waves_are_added(tools):
    layer = tools.built(FourierPositions(num_waves=4, temperature=30.0), (None, 6, 5))
    tokens = tools.random_tokens(2, 6, 5)
    waves = fourier_waves(2, 3, 4, 30.0)
    expected = tokens + waves @ tools.to_numpy(layer.projection.kernel)
    expected += tools.to_numpy(layer.projection.bias)
    np.testing.assert_allclose(tools.to_numpy(layer(tokens, grid=(2, 3))), expected, atol=1e-5)


@pytest.mark.parametrize("num_waves", [0, -2, 3])
def test_a_bad_argument_is_named_in_one_line(num_waves):
    with pytest.raises(UsageError, match=f"positive and even. Received: num_waves={num_waves}"):
        FourierPositions(num_waves=num_waves)


def test_weights_start_as_their_papers_say(tools):
    """Within 1 over the root of the inputs as PyTorch's layers, or cut off at two deviations."""
    # On PyTorch Keras draws each value four times, and one in 230,000 lies outside all the same.
    keras.utils.set_random_seed(0)
    drawn = tools.to_numpy(uniform_initializer(25)((2000,)))
    assert abs(drawn).max() <= 0.2
    assert drawn.min() < -0.19
    assert drawn.max() > 0.19
    drawn = tools.to_numpy(weight_initializer(0.02)((5000,)))
    assert abs(drawn).max() <= 0.04
    assert 0.015 < drawn.std() < 0.02
    with without_random_start():
        for initializer in (uniform_initializer(25), weight_initializer(0.02), or_zeros(None)):
            assert not tools.to_numpy(initializer((9,))).any()
    assert or_zeros("zeros") == "zeros"
