"""Biases of attention that depend on where two patches are to each other."""

import functools

import keras
import numpy as np
from keras import ops

from kerasvit.layers.attention.scaled_dot_product import QUERY_CHUNK, biased_attention
from kerasvit.layers.base import PACKAGE, ConfiguredLayer, require_at_least
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.traced_resampling import resampled

Grid = tuple[int, int]
# Rows of the table for the class token: what it gives to patches, gets from them, and its own.
_CLASS_ROWS = 3


@keras.saving.register_keras_serializable(PACKAGE)
class RelativePositionBias(ConfiguredLayer):
    """A learned bias of attention for each distance of two patches and each head.

    The class token, the first, has three biases: as it asks patches, as patches ask it, and for
    itself. Another grid than the table's has it resampled.

    Args:
        grid: `(rows, columns)` of the patches that the table is stored for.
        num_heads: int. Attention heads H.

    Call arguments:
        logits: float tensor `(B, H, N, N)` before the softmax, N being 1 + rows * columns.
        grid: `(rows, columns)` of these patches; the stored grid if None.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: if a side or the number of heads is not positive.

    Source: Bao et al. 2022, BEiT (https://arxiv.org/abs/2106.08254), after Raffel et al. 2020
    (https://arxiv.org/abs/1910.10683); reference timm/models/beit.py.
    """

    table: keras.Variable

    def __init__(self, grid: Grid, num_heads: int, **kwargs):
        super().__init__(**kwargs)
        rows, columns = grid
        require_at_least(1, rows=rows, columns=columns, num_heads=num_heads)
        self.grid = rows, columns
        self.num_heads = num_heads

    def build(self, input_shape=None):
        """Create the table: distances row by row, then the class token's three biases."""
        height, width = (2 * side - 1 for side in self.grid)
        self.table = self.add_weight(
            name="table",
            shape=(height * width + _CLASS_ROWS, self.num_heads),
            initializer="zeros",
        )
        self.built = True

    def call(self, logits, grid=None):
        """Add the bias."""
        return logits + lean_ops.cast_like(self.bias(grid), logits)

    def bias(self, grid: Grid | None = None, rows: int | None = None):
        """Return the bias of all tokens, `(H, N, N)`, or of the first `rows` that ask."""
        patches, class_token = self._tables(grid)
        first = self._class_row(class_token, patches)
        if rows == 1:
            return first
        bias = ops.concatenate([first, self._patch_rows(patches, class_token)], axis=1)
        return bias if rows is None else bias[:, :rows]

    def attend(self, query, key, value, grid: Grid | None = None):
        """Attend without scores, so many queries at a time that memory grows with N alone.

        Args:
            query, key, value: tensors `(B, H, N, d)`.
            grid: of the patches.

        Returns:
            Tensor `(B, H, N, d)`.
        """
        patches, class_token = self._tables(grid)
        height, width = self._size(patches)
        heads = [
            biased_attention(query[:, :, :1], key, value, self._class_row(class_token, patches))
        ]
        step = max(1, QUERY_CHUNK // width)
        for start in range(0, height, step):
            stop = min(start + step, height)
            asking = query[:, :, 1 + start * width : 1 + stop * width]
            bias = self._patch_rows(patches, class_token, start, stop)
            heads.append(biased_attention(asking, key, value, bias))
        return ops.concatenate(heads, axis=2)

    def _tables(self, grid: Grid | None):
        """Return the biases of distances `(2h - 1, 2w - 1, H)` of a grid, and the three others."""
        table = ops.convert_to_tensor(self.table)
        height, width = (2 * side - 1 for side in self.grid)
        patches = ops.reshape(table[:-_CLASS_ROWS], (height, width, self.num_heads))
        wanted = self.grid if grid is None else (grid[0], grid[1])
        if wanted != self.grid:
            matrices = map(distance_matrix, self.grid, wanted)
            patches = resampled(ops.cast(patches, "float32"), *map(ops.convert_to_tensor, matrices))
            patches = ops.cast(patches, table.dtype)
        return patches, table[-_CLASS_ROWS:]

    def _size(self, patches) -> Grid:
        return (patches.shape[0] + 1) // 2, (patches.shape[1] + 1) // 2

    def _class_row(self, class_token, patches):
        """Return what the class token asks with, `(H, 1, N)`."""
        height, width = self._size(patches)
        to_patches = ops.broadcast_to(class_token[0][:, None], (self.num_heads, height * width))
        return ops.concatenate([class_token[2][:, None], to_patches], axis=1)[:, None]

    def _patch_rows(self, patches, class_token, start: int = 0, stop: int | None = None):
        """Return what the patches of these rows ask with, `(H, Q, N)`."""
        height, width = self._size(patches)
        stop = height if stop is None else stop
        # Each row's biases lie side by side in the reversed table, and likewise each column's:
        # slices of it, which every runtime of exports knows, unlike places of two axes.
        turned = ops.flip(patches, axis=(0, 1))
        rows = ops.stack(
            [turned[height - 1 - row : 2 * height - 1 - row] for row in range(start, stop)]
        )
        pairs = ops.stack(
            [rows[:, :, width - 1 - column : 2 * width - 1 - column] for column in range(width)]
        )
        count = (stop - start) * width
        bias = ops.transpose(pairs, (4, 1, 0, 2, 3))
        bias = ops.reshape(bias, (self.num_heads, count, height * width))
        to_class = ops.broadcast_to(class_token[1][:, None, None], (self.num_heads, count, 1))
        return ops.concatenate([to_class, bias], axis=2)

    def compute_output_shape(self, input_shape):
        """Return the shape of the logits, unchanged."""
        return input_shape


@functools.lru_cache(maxsize=64)
def distance_matrix(old_size: int, new_size: int) -> np.ndarray:
    """Return the matrix that resamples one axis of a table of distances.

    The stored distances are laid out further apart the larger they are, in a geometric progression
    that reaches the largest of the new ones, and those in between are interpolated linearly: small
    distances keep their resolution.

    Args:
        old_size: places along the axis, with `2 * old_size - 1` distances.
        new_size: places wanted.

    Returns:
        float32 array `(2 * new_size - 1, 2 * old_size - 1)` whose rows sum to 1.

    Source: unilm's beit/run_class_finetuning.py, and timm/layers/pos_embed_rel.py
    `resize_rel_pos_bias_table`, which is linear where unilm's is cubic.
    """
    reach = new_size - 1
    places = np.array(_stored_distances(old_size - 1, reach), np.float32).astype(np.float64)
    known = np.concatenate([-places[::-1], [0.0], places])
    wanted = np.arange(-reach, reach + 1, dtype=np.float64)
    columns = [np.interp(wanted, known, column) for column in np.eye(len(known))]
    matrix = np.stack(columns, axis=1).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _stored_distances(count: int, reach: int) -> list[float]:
    """Return where the stored distances 1, 2, ... lie among the new ones."""
    low, high = 1.01, 1.5
    ratio = low
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (1 - ratio**count) / (1 - ratio) > reach:
            high = ratio
        else:
            low = ratio
    places, place = [], 1.0
    for step in range(count):
        places.append(place)
        place += ratio ** (step + 1)
    return places
