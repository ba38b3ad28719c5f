"""The scores inside the HTML viewer: small, and how far off they may be."""

import dataclasses
import gzip
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.layout import TokenLayout
from kerasvit.render.labels import block_title

LEVELS = 255
_READ_TOKENS = ("class", "distillation")


@dataclasses.dataclass(frozen=True)
class Block:
    """One block as the page holds it.

    Args:
        facts: what the page's script needs to read the bytes; plain values.
        packed: gzip of little-endian float32 lowest and highest of each row over the patches
            `(heads, rows, 2)`, float32 shares of the prefix tokens `(heads, rows, prefix)`, and
            uint8 `(heads, rows, patches)`, 0 for the row's lowest and 255 for its highest.
    """

    facts: dict[str, Any]
    packed: bytes


def pack_blocks(
    scores: Mapping[str, np.ndarray], layouts: Mapping[str, TokenLayout], max_bytes: int
) -> list[Block]:
    """Pack all blocks, as fine as they fit.

    Args:
        scores: `(heads, Q, N)` by key.
        layouts: by key.
        max_bytes: of all blocks in base64.

    Returns:
        The blocks in the order of `scores`; none if not even single cells fit.

    Raises:
        InputError: if scores do not fit their layout or are not finite.
    """
    longest = max(max(layouts[key].grid) for key in scores)
    for pooled in itertools.takewhile(lambda size: size < 2 * longest, _powers_of_two()):
        blocks, total = [], 0
        for key, values in scores.items():
            blocks.append(pack_block(key, np.asarray(values), layouts[key], pooled))
            total += 4 * len(blocks[-1].packed) // 3
            if total > max_bytes:
                break
        else:
            return blocks
    return []


def _powers_of_two():
    return (2**power for power in itertools.count())


def pack_block(key: str, scores: np.ndarray, layout: TokenLayout, pooled: int = 1) -> Block:
    """Quantise and compress the scores of one block.

    Args:
        key: of the block.
        scores: `(heads, Q, N)`; Q is N, or the number of class and distillation tokens.
        layout: of the tokens.
        pooled: so many patches along each axis become one cell, their mean, both where they ask
            and where they are attended to.

    Raises:
        InputError: if the scores do not fit the layout or are not finite.
    """
    tokens = _asking_tokens(key, scores, layout)
    prefix, patches = np.split(scores.astype(np.float32), [layout.num_prefix], axis=-1)
    asks = scores.shape[1] == layout.num_tokens
    if pooled > 1:
        patches = _pool(patches, layout.grid, pooled)
        if asks:
            prefix, patches = (_pool_rows(rows, layout, pooled) for rows in (prefix, patches))
    low, high = patches.min(axis=-1), patches.max(axis=-1)
    step = np.maximum(high - low, np.finfo(np.float32).tiny)[..., None] / LEVELS
    whole = np.rint((patches - low[..., None]) / step).clip(0, LEVELS).astype(np.uint8)
    ranges = np.stack([low, high], axis=-1)
    content = b"".join(
        [ranges.astype("<f4").tobytes(), prefix.astype("<f4").tobytes(), whole.tobytes()]
    )
    facts = {
        "key": key,
        "title": block_title(key),
        "heads": patches.shape[0],
        "rows": patches.shape[1],
        "prefix": _named(layout.prefix),
        "tokens": _named(tokens),
        "asks": asks,
        "patches": list(layout.grid),
        "grid": [-(-side // pooled) for side in layout.grid],
        "pooled": pooled,
    }
    # Without the time, equal scores give an equal page.
    return Block(facts, gzip.compress(content, 6, mtime=0))


def _asking_tokens(key: str, scores: np.ndarray, layout: TokenLayout) -> list[str]:
    """Return the names of the rows before those of the patches."""
    if scores.ndim != 3 or not scores.shape[0]:
        raise InputError(
            "A viewer shows one picture's scores, (heads, queries, tokens). "
            f"Received: shape {scores.shape} for {key!r}."
        )
    layout.check(scores.shape[2])
    if not np.isfinite(scores).all():
        raise InputError(
            f"The attention scores must be finite. Received: NaN or infinity in {key!r}. "
            "Check the model's weights and its input."
        )
    read = [name for name in layout.prefix if name in _READ_TOKENS]
    if scores.shape[1] == layout.num_tokens:
        return list(layout.prefix)
    if scores.shape[1] != len(read):
        raise InputError(
            f"The rows of the scores must be all {layout.num_tokens} tokens or the {len(read)} "
            f"class and distillation tokens. Received: {scores.shape[1]} rows for {key!r}."
        )
    return read


def _named(tokens: list[str] | tuple[str, ...]) -> list[str]:
    return [name.replace("_", " ") for name in tokens]


def _pool(values: np.ndarray, grid: tuple[int, int], size: int) -> np.ndarray:
    """Return the means of `size` by `size` patches along the last axis; fewer at the edges."""
    values = values.reshape(*values.shape[:-1], *grid)
    for axis, length in ((-2, grid[0]), (-1, grid[1])):
        starts = np.arange(0, length, size)
        counts = np.diff([*starts, length]).astype(np.float32)
        sums = np.add.reduceat(values, starts, axis=axis)
        values = sums / (counts[:, None] if axis == -2 else counts)
    return values.reshape(*values.shape[:-2], -1)


def _pool_rows(values: np.ndarray, layout: TokenLayout, size: int) -> np.ndarray:
    """Return `(heads, rows, ...)` with the rows of patches pooled and those of tokens kept."""
    tokens, patches = np.split(values, [layout.num_prefix], axis=1)
    pooled = _pool(np.moveaxis(patches, 1, -1), layout.grid, size)
    return np.concatenate([tokens, np.moveaxis(pooled, -1, 1)], axis=1)
