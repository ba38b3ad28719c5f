"""Matrices as operations are the matrices in numbers."""

import keras
import numpy as np
import pytest

from kerasvit.layers.position_resampling import RULES, resampling_matrix
from kerasvit.layers.traced_resampling import traced_matrices

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("old", "new"), [((7, 3), (5, 11)), ((1, 2), (3, 1)), ((14, 37), (14, 40)), ((4, 4), (64, 2))]
)
def test_operations_give_the_numbers(rule, old, new):
    matrices = traced_matrices(old, new, rule)
    for matrix, sizes in zip(matrices, zip(old, new, strict=True), strict=True):
        wanted = resampling_matrix(*sizes, rule)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(matrix), wanted, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_the_same_grid_is_left_as_it_is(rule):
    for matrix in traced_matrices((5, 7), (5, 7), rule):
        given = keras.ops.convert_to_numpy(matrix)
        np.testing.assert_array_equal(given, np.eye(len(given)))
