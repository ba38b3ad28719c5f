"""The scores inside the HTML viewer: small, and how far off they may be."""

import contextlib
import dataclasses
import gzip
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.layout import TokenLayout
from kerasvit.render.labels import block_title
from kerasvit.saliency import attention_distance, attention_entropy

LEVELS = 255
_READ_TOKENS = ("class", "distillation")


@dataclasses.dataclass(frozen=True)
class Block:
    """One block as the page holds it.

    Args:
        facts: what the page's script needs to read the bytes; plain values.
        packed: gzip of the rows of the prefix tokens, and then, on a grid of cells, those of the
            patches. Of each part little-endian float32 lowest and highest of each row over the
            patches `(heads, rows, 2)`, float32 shares of the prefix tokens `(heads, rows, prefix)`,
            and uint8 `(heads, rows, patches)`, 0 for the row's lowest and 255 for its highest.
    """

    facts: dict[str, Any]
    packed: bytes


def pack_blocks(
    scores: Mapping[str, np.ndarray], layouts: Mapping[str, TokenLayout], max_bytes: int
) -> list[Block]:
    """Pack all blocks: the rows of the prefix tokens whole, those of the patches as they fit.

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
    measured = {key: measures(np.asarray(values), layouts[key]) for key, values in scores.items()}
    for pooled in range(1, longest + 1):
        blocks, total = [], 0
        for key, values in scores.items():
            block = pack_block(key, np.asarray(values), layouts[key], pooled)
            blocks.append(Block(block.facts | measured[key], block.packed))
            total += 4 * len(block.packed) // 3
            if total > max_bytes:
                break
        else:
            return blocks
    return []


def pack_block(key: str, scores: np.ndarray, layout: TokenLayout, pooled: int = 1) -> Block:
    """Quantise and compress the scores of one block.

    Args:
        key: of the block.
        scores: `(heads, Q, N)`; Q is N, or the number of class and distillation tokens.
        layout: of the tokens.
        pooled: so many patches along each axis become one cell, their mean, both where they ask
            and where they are attended to. The rows of the prefix tokens stay whole.

    Raises:
        InputError: if the scores do not fit the layout or are not finite.
    """
    tokens = _asking_tokens(key, scores, layout)
    scores = scores.astype(np.float32, copy=False)
    content = _quantised(scores[:, : len(tokens)], layout)
    asks = scores.shape[1] == layout.num_tokens
    if asks:
        content += _quantised(_pool_rows(scores[:, len(tokens) :], layout, pooled), layout, pooled)
    facts = {
        "key": key,
        "title": block_title(key),
        "heads": scores.shape[0],
        "prefix": _named(layout.prefix),
        "tokens": _named(tokens),
        "asks": asks,
        "patches": list(layout.grid),
        "grid": [-(-side // pooled) for side in layout.grid],
        "pooled": pooled,
    }
    # Without the time, equal scores give an equal page.
    return Block(facts, gzip.compress(content, 6, mtime=0))


def _quantised(rows: np.ndarray, layout: TokenLayout, pooled: int = 1) -> bytes:
    """Return rows of scores `(heads, rows, N)` as `Block` holds them, patches pooled."""
    prefix, patches = np.split(rows, [layout.num_prefix], axis=-1)
    patches = _pool(patches, layout.grid, pooled)
    if not rows.shape[1]:
        return b""
    low, high = patches.min(axis=-1), patches.max(axis=-1)
    step = np.maximum(high - low, np.finfo(np.float32).tiny)[..., None] / LEVELS
    whole = np.rint((patches - low[..., None]) / step).clip(0, LEVELS).astype(np.uint8)
    ranges = np.stack([low, high], axis=-1)
    return b"".join(
        [ranges.astype("<f4").tobytes(), prefix.astype("<f4").tobytes(), whole.tobytes()]
    )


def measures(scores: np.ndarray, layout: TokenLayout) -> dict[str, list[float]]:
    """Return how far and how widely each head of a block looks, as far as that can be said.

    Args:
        scores: `(heads, Q, N)`.
        layout: of the tokens.

    Returns:
        `"distance"` in pixels of the input and `"entropy"` in bits, a number for each head. Class
        attention has no distance; scores that are no probabilities have neither.
    """
    found: dict[str, list[float]] = {}
    for name, measure in (("distance", attention_distance), ("entropy", attention_entropy)):
        with contextlib.suppress(InputError):
            values = measure(scores[None], layout)[0]
            found[name] = [float(f"{value:.4g}") for value in values]
    return found


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
    if size == 1:
        return values
    values = values.reshape(*values.shape[:-1], *grid)
    for axis, length in ((-2, grid[0]), (-1, grid[1])):
        starts = np.arange(0, length, size)
        counts = np.diff([*starts, length]).astype(np.float32)
        sums = np.add.reduceat(values, starts, axis=axis)
        values = sums / (counts[:, None] if axis == -2 else counts)
    return values.reshape(*values.shape[:-2], -1)


def _pool_rows(rows: np.ndarray, layout: TokenLayout, size: int) -> np.ndarray:
    """Return `(heads, cells, N)`: the rows of patches, pooled."""
    if size == 1:
        return rows
    return np.moveaxis(_pool(np.moveaxis(rows, 1, -1), layout.grid, size), -1, 1)
