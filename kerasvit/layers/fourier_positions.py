"""XCiT's position encoding: waves of the rows and columns, projected to the width of a token."""

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasvit.layers.base import PACKAGE, ConfiguredLayer, require
from kerasvit.layers.primitives.dense import Dense, make_dense
from kerasvit.layers.traced_resampling import are_known


@keras.saving.register_keras_serializable(PACKAGE)
class FourierPositions(ConfiguredLayer):
    """Adds a learned projection of sines and cosines of each patch's place.

    Places are fractions of the grid's sides: a grid of any size or shape has its encoding, and
    nothing is resampled.

    Args:
        num_waves: int. Sines and cosines an axis, an even number.
        temperature: float. Ratio of the longest wave to the shortest, nearly.

    Call arguments:
        tokens: float tensor `(B, rows * columns, D)`.
        grid: `(rows, columns)` of these tokens.

    Returns:
        Tensor of the same shape.

    Source: El-Nouby et al. 2021, section 3.4 (https://arxiv.org/abs/2106.09681); reference
    timm/models/xcit.py `PositionalEncodingFourier`.
    """

    projection: Dense

    def __init__(self, num_waves: int = 32, temperature: float = 10000.0, **kwargs):
        super().__init__(**kwargs)
        require(
            num_waves > 0 and num_waves % 2 == 0,
            f"num_waves must be positive and even. Received: num_waves={num_waves}",
        )
        self.num_waves = num_waves
        self.temperature = temperature

    def build(self, input_shape):
        """Create the projection."""
        self.projection = make_dense(input_shape[-1], "projection", True, self.dtype_policy)
        self.projection.build((1, None, 2 * self.num_waves))
        self.built = True

    def call(self, tokens, grid):
        """Add the encoding of each token's place."""
        make = fourier_waves if are_known(*grid) else traced_waves
        waves = make(*grid, self.num_waves, self.temperature)
        return tokens + self.projection(ops.cast(ops.convert_to_tensor(waves), tokens.dtype))

    def compute_output_shape(self, input_shape):
        """Return the shape of the tokens, unchanged."""
        return input_shape


@functools.lru_cache(maxsize=16)
def fourier_waves(rows: int, columns: int, num_waves: int, temperature: float) -> np.ndarray:
    """Return the waves of a grid, float32 `(1, rows * columns, 2 * num_waves)`: rows', columns'.

    The place of row y, counted from 1, is `2 pi y / rows`. Of each wavelength there are the sine
    and the cosine, side by side.
    """
    lengths = _wavelengths(num_waves, temperature)

    def waves(length):
        places = np.arange(1, length + 1, dtype=np.float32)
        places = places / (places[-1] + np.float32(1e-6)) * np.float32(2 * math.pi)
        angles = places[:, None] / lengths
        return np.stack([np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])], 2).reshape(length, -1)

    shape = (rows, columns, num_waves)
    by_row = np.broadcast_to(waves(rows)[:, None], shape)
    by_column = np.broadcast_to(waves(columns)[None], shape)
    return np.concatenate([by_row, by_column], axis=2).reshape(1, rows * columns, 2 * num_waves)


def traced_waves(rows: Any, columns: Any, num_waves: int, temperature: float):
    """Do what `fourier_waves` does as operations, for whole scalars of the backend."""
    lengths = ops.convert_to_tensor(_wavelengths(num_waves, temperature))

    def waves(length):
        numbers = ops.arange(length, dtype="int32")
        last = ops.cast(0 * numbers + length, "float32") + 1e-6
        angles = (2 * math.pi * (ops.cast(numbers + 1, "float32") / last))[:, None] / lengths
        pairs = ops.stack([ops.sin(angles[:, 0::2]), ops.cos(angles[:, 1::2])], axis=2)
        return ops.reshape(pairs, (-1, num_waves))

    by_row, by_column = waves(rows)[:, None], waves(columns)[None]
    of_patches = ops.concatenate([by_row + 0.0 * by_column, by_column + 0.0 * by_row], axis=2)
    return ops.reshape(of_patches, (1, -1, 2 * num_waves))


def _wavelengths(num_waves: int, temperature: float) -> np.ndarray:
    wave = np.arange(num_waves, dtype=np.float32) // 2 * 2
    return np.float32(temperature) ** (wave / np.float32(num_waves))
