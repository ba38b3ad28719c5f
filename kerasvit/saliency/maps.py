"""From the rows of one block's scores to maps on the grid of patches, and from heads to one map."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import TokenLayout

# The tokens that a head reads; registers only help the computation.
_READ_TOKENS = ("class", "distillation")

Query = str | tuple[int, int]
Heads = str | int | Sequence[int] | None


def query_tokens(layout: TokenLayout, query: Query = "class") -> list[int]:
    """Return which tokens ask: the indices of the rows whose mean a map shows.

    Args:
        layout: the meaning of the token axis.
        query: `"class"` or `"distillation"`, that token; `"mean"`, the class and distillation
            tokens together, or every patch where there is neither; `"patches"`, every patch;
            `(row, column)`, one patch. Attention pooling has a learned query alone, which `"class"`
        and `"mean"` stand for.

    Returns:
        Indices into the token axis, at least one.

    Raises:
        UsageError: if the layout has no such token.
    """
    if layout.has_learned_query and query in ("class", "mean"):
        return [0]
    read = [i for i, name in enumerate(layout.prefix) if name in _READ_TOKENS]
    patches = list(range(layout.num_prefix, layout.num_tokens))
    if query == "mean":
        return read or patches
    if query == "patches" and not layout.has_learned_query:
        return patches
    if isinstance(query, str):
        if query in _READ_TOKENS and query in layout.prefix:
            return [layout.prefix.index(query)]
    elif _is_patch(query, layout.grid) and not layout.has_learned_query:
        row, column = query
        return [layout.num_prefix + row * layout.grid[1] + column]
    if layout.has_learned_query:
        raise UsageError(
            "In attention pooling a learned query alone asks, which 'class' stands for. "
            f"Received: query={query!r}. Choose 'class', or stage='sa'."
        )
    names = [repr(layout.prefix[i]) for i in read]
    raise UsageError(
        f"This stage of the model has no such query. Received: query={query!r}. "
        f"Choose {', '.join([*names, repr('mean'), repr('patches')])} or a patch (row, column) "
        f"within the grid of {layout.grid[0]}x{layout.grid[1]}."
    )


def _is_patch(query: object, grid: tuple[int, int]) -> bool:
    if not isinstance(query, Sequence) or len(query) != 2:
        return False
    return all(
        isinstance(i, int | np.integer) and 0 <= i < n for i, n in zip(query, grid, strict=True)
    )


def attention_maps(scores: np.ndarray, layout: TokenLayout, query: Query = "class") -> np.ndarray:
    """Return one block's attention from a query to the patches, on their grid.

    The columns of the prefix tokens are left out, so a map sums to less than 1 where there are any.

    Args:
        scores: `(B, H, N, N)`, every row; or `(B, H, Q, N)`, the rows of the class token and, where
            there is one, the distillation token only: self-attention with `attention="cls"`, or
            class attention; or the one row of attention pooling.
        layout: of the stage that made the scores; its token count must be N.
        query: see `query_tokens`. A patch and a mean over patches need every row. `"class"` and
            `"mean"` also stand for the learned query of attention pooling, the only row there is.

    Returns:
        `(B, H, rows, columns)`, float32: `[..., r, c]` belongs to the patch in row r from the top
        and column c from the left.

    Raises:
        InputError: if the scores do not fit the layout or hold NaN or infinity.
        UsageError: if the layout has no such query, or its row is not among the scores.

    Source: Caron et al. 2021, figures 1 and 3 (https://arxiv.org/abs/2104.14294); Touvron et al.
    2021, figure 6 (https://arxiv.org/abs/2103.17239).
    """
    scores = np.asarray(scores)
    if scores.ndim != 4:
        raise InputError(
            "The scores of a block have four axes: batch, heads, queries, tokens. "
            f"Received: shape {scores.shape}. Pass one value of the dictionary of scores."
        )
    layout.check(scores.shape[3])
    rows = _score_rows(scores.shape[2], layout, query)
    chosen = scores[:, :, rows, layout.num_prefix :].astype(np.float32)
    if not np.isfinite(chosen).all():
        raise InputError(
            "The attention scores must be finite. Received: NaN or infinity. "
            "Check the model's weights and its input."
        )
    maps = chosen.mean(axis=2) if len(rows) > 1 else chosen[:, :, 0]
    return maps.reshape(*maps.shape[:2], *layout.grid)


def _score_rows(num_rows: int, layout: TokenLayout, query: Query) -> list[int]:
    """Return the positions of the query's rows among the rows that the scores hold."""
    tokens = query_tokens(layout, query)
    if num_rows == layout.num_tokens or layout.has_learned_query:
        return tokens
    present = [i for i, name in enumerate(layout.prefix) if name in _READ_TOKENS]
    if num_rows != len(present):
        raise InputError(
            f"The rows of the scores must be all {layout.num_tokens} tokens or the {len(present)} "
            f"class and distillation tokens. Received: {num_rows} rows. "
            "Pass the layout of the stage that made the scores."
        )
    if not set(tokens) <= set(present):
        raise UsageError(
            "These scores hold the rows of the class and distillation tokens only. "
            f"Received: query={query!r}. Class attention has no others; for self-attention, "
            "use a model with attention='full'."
        )
    return [present.index(token) for token in tokens]


def fuse_heads(maps: np.ndarray, heads: Heads = "mean") -> np.ndarray:
    """Combine the heads of one block, or choose among them.

    Args:
        maps: `(B, H, ...)`.
        heads: `"mean"`, `"max"` or `"min"` over all heads; an int, that head (negative from the
            last); a list of ints, the mean of those; `"all"` or None, every head on its own.

    Returns:
        `(B, ...)`, or `maps` itself for `"all"` and None.

    Raises:
        UsageError: if there is no such head or no such rule.
    """
    if heads is None or (isinstance(heads, str) and heads == "all"):
        return maps
    if isinstance(heads, str):
        if heads in ("mean", "max", "min"):
            return getattr(np, heads)(maps, axis=1)
    else:
        several = isinstance(heads, Sequence)
        chosen = list(cast(Sequence[int], heads)) if several else [cast(int, heads)]
        if chosen and all(_is_head(head, maps.shape[1]) for head in chosen):
            return maps[:, chosen].mean(axis=1) if several else maps[:, chosen[0]]
    raise UsageError(
        f"There is no such head. Received: heads={heads!r}. Choose 'mean', 'max', 'min', 'all', "
        f"a number from 0 to {maps.shape[1] - 1}, or a list of numbers."
    )


def _is_head(head: object, count: int) -> bool:
    if isinstance(head, bool) or not isinstance(head, int | np.integer):
        return False
    return bool(-count <= head < count)
