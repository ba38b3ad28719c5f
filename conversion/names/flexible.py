"""FlexiViT's files at another patch size: they keep one large patch embedding for all of them."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.layers.position_resampling import resample_grid, resampling_matrix
from kerasvit.models import factory

_KERNEL, _POSITIONS = "patch_embed.proj.weight", "pos_embed"
_RULE = "bilinear"


def fit(
    checkpoint: Checkpoint,
    name: str | None,
    image_shape: tuple[int, ...] | None = None,
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> Checkpoint:
    """Return a checkpoint whose patches and positions are those of a FlexiViT.

    Google's files store kernels of 32x32 and positions of 7x7; timm's models have patches of 16x16
    on 240x240 pixels. Kernels are resampled so that a resized patch gives the same token, as far as
    it can: by the pseudoinverse of the resizing. Any other model needs its own patch size.

    Args:
        checkpoint: an unwrapped checkpoint in timm's names.
        name: of the variant. A checkpoint for one that is no FlexiViT, or that is not Google's, is
            returned as it is.
        image_shape: `(height, width)` that the positions are wanted for; None for the variant's.
        arguments: further arguments of the model, of which `patch_size` counts.

    Source: Beyer et al. 2023, section 3.4 (https://arxiv.org/abs/2212.08013); timm/models/
    vision_transformer.py `_load_weights`.
    """
    if name is None or not name.startswith("flexivit"):
        return checkpoint
    if checkpoint.layout != "big_vision" or _POSITIONS not in checkpoint:
        return checkpoint
    variant = {**factory.variant(name)[1], **arguments}
    patch = (variant["patch_size"],) * 2
    shape = image_shape or variant["image_shape"]
    grid = (shape[0] // patch[0], shape[1] // patch[1])
    tensors = dict(checkpoint.tensors)
    notes = []
    kernel, positions = tensors[_KERNEL], tensors[_POSITIONS]
    if kernel.shape[2:] != patch:
        read = functools.partial(_resampled_kernel, kernel, patch)
        tensors[_KERNEL] = StoredTensor((*kernel.shape[:2], *patch), kernel.dtype, read)
        notes.append(f"Resampled the patch embedding from {kernel.shape[2:]} to {patch} pixels.")
    side = math.isqrt(positions.shape[1])
    if side * side == positions.shape[1] and (side, side) != grid:
        read = functools.partial(_resampled_positions, positions, side, grid)
        shape = (1, grid[0] * grid[1], positions.shape[2])
        tensors[_POSITIONS] = StoredTensor(shape, positions.dtype, read)
        notes.append(f"Resampled the positions from {side}x{side} to {grid[0]}x{grid[1]} patches.")
    if not notes:
        return checkpoint
    return dataclasses.replace(checkpoint, tree=tensors, notes=(*checkpoint.notes, *notes))


def _resampled_kernel(kernel: StoredTensor, patch: tuple[int, int]) -> np.ndarray:
    rows, columns = (
        np.linalg.pinv(resampling_matrix(old, new, _RULE).astype(np.float64).T)
        for old, new in zip(kernel.shape[2:], patch, strict=True)
    )
    return np.einsum("yh,oihw,xw->oiyx", rows, kernel.load(_KERNEL), columns, optimize=True)


def _resampled_positions(positions: StoredTensor, side: int, grid: tuple[int, int]) -> np.ndarray:
    square = positions.load(_POSITIONS).reshape(side, side, -1)
    return resample_grid(square, grid, _RULE).reshape(1, -1, square.shape[-1])
