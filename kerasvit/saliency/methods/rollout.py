"""Attention rollout: how much of each patch reaches a token through all blocks together."""

from collections.abc import Mapping

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.maps import Heads, Query, query_tokens
from kerasvit.saliency.methods.transitions import (
    DEFAULT_RULE,
    RolloutRule,
    complete_keys,
    fused_rows,
    transition,
)


def rollout(
    sa_scores: Mapping[str, np.ndarray],
    layout: TokenLayout,
    query: Query = "class",
    *,
    fusion: Heads = "mean",
    discard: float = RolloutRule.discard,
    start_layer: int = RolloutRule.start_layer,
    signed: str = RolloutRule.signed,
) -> np.ndarray:
    """Return attention rollout from a query to the patches, on their grid.

    Each block is taken as half residual, half attention, and the blocks are multiplied. (A model's
    LayerScale weighs the two otherwise; rollout does not know of it.)

    Args:
        sa_scores: `(B, H, N, N)` a block, every block from `start_layer` on.
        layout: of the self-attention stage.
        query: see `query_tokens`.
        fusion: see `RolloutRule`, as the arguments that follow.
        discard: share of the smallest entries that count as zero.
        start_layer: number of the first block that counts.
        signed: `"reject"`, `"absolute"` or `"positive"`: rows that are no probabilities.

    Returns:
        `(B, rows, columns)`, float32, not negative; the mass is 1 less what stays on the prefix.

    Raises:
        InputError: if scores are missing, do not fit the layout, or are no probabilities.
        UsageError: if an argument is out of range.

    Source: Abnar and Zuidema 2020, section 3 (https://arxiv.org/abs/2005.00928).
    """
    start = np.zeros((1, 1, layout.num_tokens))
    start[..., query_tokens(layout, query)] = 1
    rule = RolloutRule(fusion, discard, start_layer, signed)
    return _on_grid(roll_back(start / start.sum(), sa_scores, layout, rule), layout)


def rollout_matrix(
    sa_scores: Mapping[str, np.ndarray], layout: TokenLayout, rule: RolloutRule = DEFAULT_RULE
) -> np.ndarray:
    """Return the whole rollout, every token as the query.

    Args:
        sa_scores: as for `rollout`.
        layout: as for `rollout`.
        rule: how blocks become matrices.

    Returns:
        `(B, N, N)`, float32; each row sums to 1.

    Raises:
        InputError: as `rollout`.
        UsageError: as `rollout`.
    """
    rows = roll_back(np.eye(layout.num_tokens)[None], sa_scores, layout, rule)
    return rows.astype(np.float32)


def class_attention_rollout(
    sa_scores: Mapping[str, np.ndarray],
    ca_scores: Mapping[str, np.ndarray],
    layout: TokenLayout,
    *,
    fusion: Heads = "mean",
    discard: float = RolloutRule.discard,
    start_layer: int = RolloutRule.start_layer,
    signed: str = RolloutRule.signed,
) -> np.ndarray:
    """Return the rollout of CaiT: back through class attention, then through self-attention.

    Args:
        sa_scores: `(B, H, P, P)` a block, as for `rollout`.
        ca_scores: `(B, H, 1, 1 + P)` a block, every block.
        layout: of the self-attention stage: no prefix tokens.
        fusion: as for `rollout`, in both stages.
        discard: as for `rollout`, in the self-attention stage.
        start_layer: as for `rollout`, in the self-attention stage.
        signed: as for `rollout`, for the self-attention scores; class attention must be
            probabilities.

    Returns:
        `(B, rows, columns)`, float32, not negative; the mass is 1 less what stays on the class
        token.

    Raises:
        InputError: as `rollout`.
        UsageError: as `rollout`, or if there are no class-attention scores.

    Source: the rule of Abnar and Zuidema 2020 (https://arxiv.org/abs/2005.00928), applied here to
    the two stages of Touvron et al. 2021 (https://arxiv.org/abs/2103.17239).
    """
    rule = RolloutRule(fusion, discard, start_layer, signed)
    patches = class_stage_row(ca_scores, fusion)[:, None, 1:]
    return _on_grid(roll_back(patches, sa_scores, layout, rule), layout)


def class_stage_row(ca_scores: Mapping[str, np.ndarray], fusion: Heads = "mean") -> np.ndarray:
    """Return the rollout of the class-attention stage alone.

    Patches are constant within this stage, so a block with the class token's row `a` is the matrix
    with `a` in row 0 and the identity below. Starting from the class token alone, block by block:
    `r <- r / 2 + (a[class] * r + [0, a[patches]]) / 2`.

    Args:
        ca_scores: `(B, H, 1, 1 + P)` a block, every block.
        fusion: how the heads of a block become one, see `fuse_heads`.

    Returns:
        `(B, 1 + P)`, float64, the class token first; sums to 1.

    Raises:
        InputError: if a block is missing or its rows are no probabilities.
        UsageError: if there are no scores.
    """
    if not ca_scores:
        raise UsageError(
            "Class-attention rollout needs class-attention scores, as CaiT and XCiT have. "
            "Received: none. Use method='rollout' for a VisionTransformer."
        )
    row = np.zeros(())
    for index, key in enumerate(complete_keys(ca_scores)):
        attention = fused_rows(ca_scores[key], key, fusion)[:, 0]
        if not index:
            row = np.zeros_like(attention)
            row[:, 0] = 1
        patches = attention.copy()
        patches[:, 0] = 0
        # The sum is 1 unless the largest or smallest of the heads was taken.
        row = (row + attention[:, :1] * row + patches) / (1 + attention.sum(-1, keepdims=True))
    return row


def roll_back(
    rows: np.ndarray,
    sa_scores: Mapping[str, np.ndarray],
    layout: TokenLayout,
    rule: RolloutRule = DEFAULT_RULE,
) -> np.ndarray:
    """Carry rows of relevance from the output of the self-attention stage to its input.

    Rows times matrices, last block first, cost `N^2` a row and block; the whole product `N^3`.

    Args:
        rows: `(B or 1, R, N)`, relevance of each token after the last block.
        sa_scores: as for `rollout`.
        layout: as for `rollout`.
        rule: how blocks become matrices.

    Returns:
        `(B, R, N)`, float64, relevance of each token before block `rule.start_layer`; the sum of a
        row does not change.

    Raises:
        InputError: as `rollout`.
        UsageError: as `rollout`.
    """
    for key in reversed(complete_keys(sa_scores, rule.start_layer)):
        rows = rows @ transition(np.asarray(sa_scores[key]), key, layout, rule)
    return rows


def _on_grid(rows: np.ndarray, layout: TokenLayout) -> np.ndarray:
    patches = rows[:, 0, layout.num_prefix :].astype(np.float32)
    return patches.reshape(-1, *layout.grid)
