"""Localisation without masks: which picture of a mosaic does a map point at?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasvit.errors import InputError
from kerasvit.images.resampling import resize_array
from kerasvit.texts.wording import counted


class Mosaics(NamedTuple):
    """Mosaics of pictures of different classes.

    Args:
        pixels: `(M, h, w, 3)`, as large as the pictures.
        members: `(M, cells)`, which pictures they hold, row by row.
        side: how many pictures lie side by side, and below each other.
    """

    pixels: np.ndarray
    members: np.ndarray
    side: int


def make_mosaics(
    pixels: np.ndarray, classes: Sequence[int], count: int, side: int = 2, seed: int = 0
) -> Mosaics:
    """Put pictures of different classes together, each made smaller by `side`.

    The mosaic is as large as one picture, so that the model sees as many tokens as ever.

    Args:
        pixels: `(B, h, w, 3)`, preprocessed, h and w multiples of `side`.
        classes: `(B,)`, what the model calls each picture.
        count: how many mosaics.
        side: pictures side by side.
        seed: of the choice.

    Returns:
        The mosaics.

    Raises:
        InputError: if there are too few classes, or the size is no multiple of `side`.

    Source: the grid pointing game of Böhle, Fritz and Schiele, CVPR 2021, section 4
    (https://arxiv.org/abs/2104.00032), here with the pictures made smaller.
    """
    height, width = pixels.shape[1:3]
    labels = np.asarray(classes)
    cells = side * side
    if len(np.unique(labels)) < cells or height % side or width % side:
        raise InputError(
            f"A mosaic needs {cells} pictures that the model calls differently, their height and "
            f"width multiples of {side}. Received: {counted(len(np.unique(labels)), 'class')} in "
            f"{counted(len(labels), 'picture')} of {height}x{width}. "
            "Add pictures, or leave out the mosaics."
        )
    generator = np.random.default_rng(seed)
    members = np.stack([_choose(labels, cells, generator) for _ in range(count)])
    channels_first = pixels[np.unique(members)].transpose(0, 3, 1, 2)
    smaller = resize_array(channels_first, (height // side, width // side), "bilinear")
    small = dict(zip(np.unique(members).tolist(), smaller.transpose(0, 2, 3, 1), strict=True))
    rows = [
        [
            np.concatenate([small[index] for index in row], axis=1)
            for row in chosen.reshape(side, side).tolist()
        ]
        for chosen in members
    ]
    return Mosaics(np.stack([np.concatenate(row, axis=0) for row in rows]), members, side)


def _choose(classes: np.ndarray, cells: int, generator: np.random.Generator) -> np.ndarray:
    """Return the numbers of pictures of different classes."""
    order = generator.permutation(len(classes))
    _, first = np.unique(classes[order], return_index=True)
    return order[generator.permutation(first)[:cells]]


def shares_in_cell(maps: np.ndarray, cells: Sequence[int], side: int) -> np.ndarray:
    """Return which share of a map's positive values lies in one cell of its mosaic.

    Args:
        maps: `(M, rows, columns)`; negative values count as 0.
        cells: `(M,)`, the cell that each map explains, row by row.
        side: see `Mosaics`.

    Returns:
        `(M,)` in [0, 1]; `1 / side^2` for a map that says nothing.
    """
    rows, columns = (side * -(-length // side) for length in maps.shape[1:])
    fine = resize_array(np.maximum(maps, 0), (side * rows, side * columns), "nearest")
    blocks = fine.reshape(len(maps), side, rows, side, columns).sum(axis=(2, 4))
    blocks = blocks.reshape(len(maps), -1).astype(np.float64)
    total = blocks.sum(axis=1)
    own = blocks[np.arange(len(maps)), list(cells)]
    return np.divide(own, total, out=np.full(len(maps), 1 / side**2), where=total > 0)
