"""Resampling of position embeddings to another patch grid, by the rule of the weights' source.

Each rule is separable and linear, so it is a pair of small matrices, computed in NumPy: the same
numbers on every backend (Keras' own bicubic resize differs between them by up to 6e-3).
"""

import functools
from collections.abc import Callable

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.numerics import cubic

RULES = (
    "bicubic_antialias",
    "bicubic_offset",
    "bicubic",
    "bilinear",
    "bilinear_align_corners",
)


@functools.lru_cache(maxsize=256)
def resampling_matrix(old_size: int, new_size: int, rule: str) -> np.ndarray:
    """Return the matrix that resamples one axis of a position grid.

    Args:
        old_size: length of the axis that the weights were trained with.
        new_size: length of the axis wanted.
        rule: "bicubic_antialias" (timm, big_vision and DINOv2 with registers:
            `torch.nn.functional.interpolate(size=..., mode="bicubic", antialias=True)`),
            "bicubic_offset" (DINO and DINOv2: no antialiasing, sampled with the scale
            `(new_size + 0.1) / old_size`), "bicubic" (DeiT's fine-tuning: no antialiasing),
            "bilinear" (FlexiViT and C-RADIO: no antialiasing) or "bilinear_align_corners" (C-RADIO
            v3 B and H: the outermost positions stay where they are).

    Returns:
        float32 array `(new_size, old_size)` whose rows sum to 1. For equal sizes it is the
        identity, but for "bicubic_offset", whose offset also shifts an axis that keeps its length.

    Raises:
        UsageError: if the rule is unknown or a size is not positive.

    Source: dino/vision_transformer.py `interpolate_pos_encoding`,
    dinov2/models/vision_transformer.py, deit/main.py, timm/layers/pos_embed.py.
    """
    if rule not in RULES:
        raise UsageError(f"position_resampling must be one of {RULES}. Received: {rule!r}")
    if old_size < 1 or new_size < 1:
        raise UsageError(f"Grid sizes must be positive. Received: {old_size}, {new_size}")
    matrix = _MATRICES[rule](old_size, new_size).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def resample_grid(positions: np.ndarray, new_grid: tuple[int, int], rule: str) -> np.ndarray:
    """Resample a grid of position embeddings `(h, w, D)` to `new_grid` in NumPy.

    The same sums that `PositionEmbedding` computes on the backend; positions whose grid is the
    wanted one are returned as they are, by every rule.

    Args:
        positions: float array `(h, w, D)`.
        new_grid: `(rows, columns)` wanted.
        rule: see `resampling_matrix`.

    Returns:
        float32 array `(rows, columns, D)`.
    """
    if tuple(new_grid) == positions.shape[:2]:
        return positions.astype(np.float32)
    rows = resampling_matrix(positions.shape[0], new_grid[0], rule)
    columns = resampling_matrix(positions.shape[1], new_grid[1], rule)
    return np.einsum("yh,hwd,xw->yxd", rows, positions, columns, optimize=True)


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(distance), 0)


def _torch_cubic(distance: np.ndarray) -> np.ndarray:
    return cubic(distance, -0.75)


def _interpolated(old_size, new_size, kernel=_torch_cubic, offset=0.0, align_corners=False):
    """Four taps around each source position, border values repeated."""
    if align_corners:
        position = np.linspace(0, old_size - 1, new_size)
    else:
        position = (np.arange(new_size) + 0.5) * (old_size / (new_size + offset)) - 0.5
    if kernel is _linear:
        position = np.maximum(position, 0)
    first = np.floor(position).astype(int)
    matrix = np.zeros((new_size, old_size))
    for tap in range(-1, 3):
        index = np.clip(first + tap, 0, old_size - 1)
        np.add.at(matrix, (np.arange(new_size), index), kernel(position - (first + tap)))
    return matrix


def _antialiased(old_size, new_size):
    """The kernel, a = -0.5, widened when shrinking; cut and renormalised at the borders."""
    scale = old_size / new_size
    width = max(scale, 1.0)
    center = (np.arange(new_size) + 0.5) * scale
    low = np.maximum((center - 2 * width + 0.5).astype(int), 0)
    high = np.minimum((center + 2 * width + 0.5).astype(int), old_size)
    index = np.arange(old_size)
    weights = cubic((index + 0.5 - center[:, None]) / width, -0.5)
    weights = np.where((index >= low[:, None]) & (index < high[:, None]), weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


_MATRICES: dict[str, Callable[[int, int], np.ndarray]] = {
    "bicubic_antialias": _antialiased,
    "bicubic_offset": functools.partial(_interpolated, offset=0.1),
    "bicubic": _interpolated,
    "bilinear": functools.partial(_interpolated, kernel=_linear),
    "bilinear_align_corners": functools.partial(_interpolated, kernel=_linear, align_corners=True),
}
