"""From pixels to tokens: patch embedding, learned prefix tokens, position embedding."""

import keras
from keras import ops

from kerasvit.layers.base import (
    PACKAGE,
    ConfiguredLayer,
    kernel_initializer,
    require,
    require_at_least,
)
from kerasvit.layers.patch_grid import grid_of_images, patch_grid
from kerasvit.layers.position_resampling import RULES
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.patch_projection import PatchProjection
from kerasvit.layers.traced_resampling import are_known, resampled, resampling_matrices


@keras.saving.register_keras_serializable(PACKAGE)
class PatchEmbedding(ConfiguredLayer):
    """Cuts an image into patches and projects each to a token.

    Args:
        hidden_dim: int. Width of a token.
        patch_size: `(height, width)` of a patch in pixels.
        use_bias: bool. Whether the projection has a bias.
        ignore_remainder: bool. Whether pixels at the right and the bottom that fill no patch are
            ignored, as SigLIP at 384 pixels with patches of 14 wants it, instead of refused.

    Call arguments:
        images: float tensor `(B, height, width, C)`, channels last on every backend.

    Returns:
        Tensor `(B, P, D)`: the patches row by row.

    Raises:
        ValueError: if an argument is not positive, or the patch size does not divide the image
            size, or that size is unknown while tracing.

    Source: Dosovitskiy et al. 2021, section 3.1 (https://arxiv.org/abs/2010.11929).
    """

    def __init__(
        self,
        hidden_dim: int,
        patch_size: tuple[int, int] = (16, 16),
        use_bias: bool = True,
        ignore_remainder: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ignore_remainder = ignore_remainder
        self.hidden_dim = hidden_dim
        self.patch_size = tuple(patch_size)
        require_at_least(1, hidden_dim=hidden_dim)
        require(
            len(self.patch_size) == 2 and min(self.patch_size) > 0,
            "patch_size must be (height, width) in pixels, both positive. "
            f"Received: patch_size={self.patch_size}",
        )
        self.use_bias = use_bias
        self.projection = PatchProjection(
            hidden_dim,
            kernel_size=self.patch_size,
            strides=self.patch_size,
            padding="valid",
            data_format="channels_last",
            use_bias=use_bias,
            kernel_initializer=kernel_initializer(),
            name="projection",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        """Create the projection."""
        self.projection.build(input_shape)
        self.built = True

    def grid_of(self, images) -> tuple[int, int]:
        """Return `(rows, columns)` of the patches of images `(B, height, width, C)`.

        They are whole scalars of the backend where a trace leaves the size open.
        """
        return grid_of_images(images, self.patch_size, self.ignore_remainder)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return `(rows, columns)` of the patches of an image of this size."""
        return patch_grid(height, width, self.patch_size, self.ignore_remainder)

    def call(self, images):
        """Project the patches and lay them out in one row-major sequence."""
        rows, columns = self.grid_of(images)
        return ops.reshape(self.projection(images), (-1, rows * columns, self.hidden_dim))

    def compute_output_shape(self, input_shape):
        """Return `(B, P, D)`."""
        rows, columns = self.grid(*input_shape[1:3])
        return (input_shape[0], rows * columns, self.hidden_dim)


@keras.saving.register_keras_serializable(PACKAGE)
class LearnedTokens(ConfiguredLayer):
    """Puts learned tokens before a sequence: class, distillation or register tokens.

    Args:
        num_tokens: int. How many tokens are added.

    Call arguments:
        tokens: float tensor `(B, N, D)`.

    Returns:
        Tensor `(B, num_tokens + N, D)`.

    Raises:
        ValueError: if `num_tokens` is not positive.

    Source: class token: Dosovitskiy et al. 2021; distillation token: Touvron et al. 2021
    (https://arxiv.org/abs/2012.12877); registers: Darcet et al. 2024
    (https://arxiv.org/abs/2309.16588).
    """

    tokens: keras.Variable

    def __init__(self, num_tokens: int = 1, **kwargs):
        super().__init__(**kwargs)
        require_at_least(1, num_tokens=num_tokens)
        self.num_tokens = num_tokens

    def build(self, input_shape):
        """Create the tokens."""
        self.tokens = self.add_weight(
            name="tokens",
            shape=(1, self.num_tokens, input_shape[-1]),
            initializer=kernel_initializer(),
        )
        self.built = True

    def call(self, tokens):
        """Put the learned tokens first."""
        return lean_ops.concatenate([self.broadcast(tokens), tokens], axis=1)

    def broadcast(self, tokens):
        """Return the learned tokens repeated over the batch of `tokens`: `(B, num_tokens, D)`."""
        learned = ops.cast(self.tokens, tokens.dtype)
        return ops.broadcast_to(learned, (ops.shape(tokens)[0], *learned.shape[1:]))

    def compute_output_shape(self, input_shape):
        """Return `(B, num_tokens + N, D)`."""
        batch, length, width = input_shape
        return (batch, None if length is None else length + self.num_tokens, width)


@keras.saving.register_keras_serializable(PACKAGE)
class PositionEmbedding(ConfiguredLayer):
    """Adds a learned position embedding, resampled where the patch grid is another one.

    Args:
        grid: `(rows, columns)` of the patches that the embedding is stored for.
        num_prefix: int. Number of leading tokens that have an embedding of their own.
        resampling: rule for other grids, see
            `kerasvit.layers.position_resampling.resampling_matrix`.

    Call arguments:
        tokens: float tensor `(B, num_prefix + rows * columns, D)`.
        grid: `(rows, columns)` of these tokens, numbers or the scalars of a trace; the stored grid
            if None.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: if the rule is unknown.

    Source: Dosovitskiy et al. 2021, section 3.2, and the sources named in `resampling_matrix`.
    """

    embedding: keras.Variable
    grid: tuple[int, int]

    def __init__(
        self,
        grid: tuple[int, int],
        num_prefix: int = 0,
        resampling: str = "bicubic_antialias",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require(resampling in RULES, f"resampling must be one of {RULES}. Received: {resampling!r}")
        rows, columns = grid
        self.grid = rows, columns
        self.num_prefix = num_prefix
        self.resampling = resampling

    def build(self, input_shape):
        """Create the embedding of the prefix and of the stored grid."""
        self.embedding = self.add_weight(
            name="embedding",
            shape=(1, self.num_prefix + self.grid[0] * self.grid[1], input_shape[-1]),
            initializer=kernel_initializer(),
        )
        self.built = True

    def call(self, tokens, grid=None):
        """Add the embedding of each token's place."""
        return tokens + ops.cast(self.positions(grid), tokens.dtype)

    def positions(self, grid: tuple[int, int] | None = None):
        """Return the embedding `(1, num_prefix + rows * columns, D)` for a patch grid."""
        rows, columns = self.grid if grid is None else grid
        grid = rows, columns
        embedding = ops.convert_to_tensor(self.embedding)
        if are_known(rows, columns) and grid == self.grid:
            return embedding
        prefix, patches = embedding[:, : self.num_prefix], embedding[:, self.num_prefix :]
        patches = self._resample(ops.cast(patches, "float32"), grid)
        return ops.concatenate([ops.cast(prefix, "float32"), patches], axis=1)

    def _resample(self, patches, grid):
        width = patches.shape[-1]
        matrices = resampling_matrices(self.grid, grid, self.resampling)
        values = ops.reshape(patches, (*self.grid, width))
        return ops.reshape(resampled(values, *matrices), (1, -1, width))

    def compute_output_shape(self, input_shape):
        """Return the shape of the tokens, unchanged."""
        return input_shape
