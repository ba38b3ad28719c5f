"""A teacher's patch tokens, computed once for all pictures and moved as the pictures are."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from kerasvit.errors import InputError, UsageError
from kerasvit.files import atomic_path
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.layers.position_resampling import resampling_matrix
from kerasvit.models.base import ScoreModel
from kerasvit.training.mapped_files import create_array
from kerasvit.training.outputs import patch_tokens

# Pictures whose tokens are resampled at a time.
_AT_A_TIME = 1000


class TeacherFeatures:
    """Patch tokens of a teacher for every picture of a data set.

    Args:
        tokens: float array `(N, V, rows, columns, W)`: N pictures; V is 1, or 2 where the mirrored
            pictures have tokens of their own. It may be memory-mapped and of float16.

    Raises:
        InputError: if the array has another shape.
    """

    def __init__(self, tokens: np.ndarray):
        if tokens.ndim != 5 or tokens.shape[1] not in (1, 2):
            raise InputError(
                "A teacher's tokens are an array (pictures, 1 or 2, rows, columns, width). "
                f"Received: shape {tokens.shape}. Compute them with precompute_features."
            )
        self.tokens = tokens
        self._resampled: tuple[tuple[int, int], np.ndarray] | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TeacherFeatures":
        """Open a file of `precompute_features`; what is read of it is read when it is needed.

        Raises:
            InputError: if the file is missing or none of these.
        """
        try:
            return cls(np.load(path, mmap_mode="r"))
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{str(path)!r} holds no teacher's tokens: {error}. "
                "Compute them with precompute_features."
            ) from error

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.tokens)

    @property
    def width(self) -> int:
        """Width W of a token: the `feature_width` of `DistilledTraining`."""
        return self.tokens.shape[-1]

    def batch(
        self,
        indices: np.ndarray,
        shifts: np.ndarray | None = None,
        mirrored: np.ndarray | None = None,
        grid: tuple[int, int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of a batch of pictures, each shifted and then mirrored.

        Args:
            indices: int array `(B,)`, numbers of the pictures.
            shifts: array `(B, 2)`: how many patches of `grid` the picture's content has moved down
                and to the right, before any mirroring; tokens are interpolated for parts of a
                patch. None for not at all.
            mirrored: bool array `(B,)`: which pictures are mirrored left to right; None for none.
            grid: `(rows, columns)` of the student's patches, where it is another than the
                teacher's, as for smaller pictures: all tokens are then resampled once, and kept
                in memory until another grid is asked for.

        Returns:
            features: float32 array `(B, P, W)`, row by row.
            valid: float32 array `(B, P)`: 1 where most of a patch shows what the teacher saw, 0
                where it was moved in from outside.
        """
        indices = np.asarray(indices)
        count = len(indices)
        mirrored = np.zeros(count, bool) if mirrored is None else np.asarray(mirrored, bool)
        shifts = np.zeros((count, 2)) if shifts is None else np.array(shifts)
        tokens = _oriented(self._on(grid), indices, mirrored)
        # What moves right before mirroring moves left in the mirrored picture.
        return _shift(tokens, shifts[:, 0], np.where(mirrored, -shifts[:, 1], shifts[:, 1]))

    def _on(self, grid: tuple[int, int] | None) -> np.ndarray:
        """Return all tokens on a grid."""
        if grid is None or tuple(grid) == self.tokens.shape[2:4]:
            return self.tokens
        if self._resampled is not None and self._resampled[0] == tuple(grid):
            return self._resampled[1]
        self._resampled = None  # memory for one grid at a time
        rows, columns = grid
        tokens = _resample(self.tokens, grid)
        self._resampled = (rows, columns), tokens
        return tokens


def _oriented(tokens: np.ndarray, indices: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    if tokens.shape[1] == 2:
        return tokens[indices, mirrored.astype(int)]
    tokens = tokens[indices, 0]
    tokens[mirrored] = tokens[mirrored, :, ::-1]
    return tokens


def _resample(tokens: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    count, variants, rows, columns, width = tokens.shape
    weights = np.kron(
        resampling_matrix(rows, grid[0], "bicubic_antialias"),
        resampling_matrix(columns, grid[1], "bicubic_antialias"),
    ).astype("float32")
    result = np.empty((count, variants, *grid, width), tokens.dtype)
    for start in range(0, count, _AT_A_TIME):
        part = tokens[start : start + _AT_A_TIME].astype("float32")
        part = weights @ part.reshape(-1, rows * columns, width)
        result[start : start + _AT_A_TIME] = part.reshape(-1, *result.shape[1:])
    return result


def _shift(tokens, down: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move each sample's grid of tokens; places without a source repeat the border, invalid."""
    count, rows, columns, width = tokens.shape
    tokens, row_exists = _shift_axis(tokens, down)
    tokens, column_exists = _shift_axis(np.swapaxes(tokens, 1, 2), right)
    valid = row_exists[:, :, None] & column_exists[:, None, :]
    moved = np.swapaxes(tokens, 1, 2).reshape(count, rows * columns, width)
    return moved.astype("float32"), valid.reshape(count, -1).astype("float32")


def _shift_axis(tokens: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move each sample along axis 1, between two tokens linearly; and tell which places exist."""
    length = tokens.shape[1]
    place = np.arange(length)[None] - shift[:, None]
    exists = (place > -0.5) & (place < length - 0.5)
    place = np.clip(place, 0, length - 1)
    before = np.floor(place).astype(int)
    share = (place - before).astype("float32")[..., None, None]
    samples = np.arange(len(tokens))[:, None]
    moved = tokens[samples, before]
    if share.any():
        after = tokens[samples, np.minimum(before + 1, length - 1)]
        moved = moved + share * (after.astype("float32") - moved)
    return moved, exists


class _PatchTokens(keras.Model):
    """A model's patch tokens as an output, so that Keras compiles the way to them."""

    def __init__(self, model: ScoreModel):
        super().__init__(name="patch_tokens")
        self.model = model
        self.view = model.with_attention("none")
        self.built = True

    def call(self, images):
        return patch_tokens(self.view, images)


def precompute_features(
    teacher: ScoreModel,
    read: Callable[[int], np.ndarray],
    count: int,
    preprocessing: Preprocessing,
    path: str | os.PathLike[str],
    *,
    mirrored: bool = False,
    batch_size: int = 64,
    dtype: str = "float16",
    overwrite: bool = False,
    progress: bool = False,
) -> TeacherFeatures:
    """Run a teacher over all pictures and keep its patch tokens in a `.npy` file.

    The file has `count * (1 + mirrored) * P * W` values: 2.5 GB in float16 for the 50,000 pictures
    of CIFAR-10, an 8x8 grid and a width of 384.

    Args:
        teacher: a `VisionTransformer` or `CaiT`; its tokens after the last norm are kept.
        read: function from a picture's number to its pixels, uint8 `(h, w, 3)`, such as
            `PictureFolder.read`.
        count: number of pictures.
        preprocessing: how a picture becomes the teacher's input: its release's, with the
            `image_size` that gives the grid wanted (112 pixels for 8x8 patches of 14) and
            `crop_fraction=1`, so that teacher and student see the same.
        path: file to write, ending in `.npy`.
        mirrored: whether mirrored pictures get tokens of their own.
        batch_size: int. Pictures at a time.
        dtype: of the file.
        overwrite: whether an existing file is replaced.
        progress: whether to show a bar.

    Returns:
        The tokens, memory-mapped.

    Raises:
        OutputError: if the file cannot be written.
        UsageError: if the path does not end in `.npy` or there are no pictures.
    """
    if count < 1 or batch_size < 1 or os.path.splitext(path)[1] != ".npy":
        raise UsageError(
            "There must be pictures, batches of at least one, and a path that ends in '.npy'. "
            f"Received: count={count}, batch_size={batch_size}, path={str(path)!r}"
        )
    model = _PatchTokens(teacher)
    grid = teacher.token_layout(preprocessing.image_size).grid
    shape = (count, 1 + mirrored, *grid, teacher.hidden_dim)
    with atomic_path(path, overwrite=overwrite) as temporary:
        tokens = create_array(temporary, dtype, shape)
        for start in tqdm(range(0, count, batch_size), disable=not progress, unit="batch"):
            numbers = range(start, min(start + batch_size, count))
            pixels = [preprocessing.evaluate(read(number)).pixels for number in numbers]
            for variant in range(1 + mirrored):
                outputs = run_filled(model, np.stack(pixels), batch_size, bool(variant))
                outputs = outputs[: len(pixels)].reshape(-1, *grid, shape[-1])
                tokens[start : numbers.stop, variant] = outputs
        tokens.flush()
    return TeacherFeatures.load(path)


def run_filled(model: Any, pixels: np.ndarray, batch_size: int, mirror: bool) -> Any:
    """Run one batch, filled up to a size that is compiled only once, and return all of it.

    Args:
        model: what runs.
        pixels: `(B, h, w, 3)`, B at most `batch_size`.
        batch_size: int.
        mirror: whether the pictures are mirrored left to right.
    """
    pixels = pixels[:, :, ::-1] if mirror else pixels
    missing = batch_size - len(pixels)
    filled = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
    return model.predict_on_batch(filled)
