"""Relevance that a class carries back through all blocks: Chefer's generic rule, and its frame."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.layout import BlockKey, TokenLayout, channels_refused
from kerasvit.saliency.gradients import tap_gradients
from kerasvit.saliency.maps import Query, query_tokens
from kerasvit.saliency.methods.by_target import explain_target, on_grid, read_query
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.request import Request
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import block_keys, block_number

# Blocks whose attention relevance is multiplied by: all of class attention, or the last three.
_LATE = 3

# From a block's key to its matrix `(B, N, N)`, or its class token's row `(B, 1, N)`.
Matrix = Callable[[str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class RelevanceOptions(MethodOptions):
    """The options of relevance."""

    start_layer: int = option(0, "first self-attention block that counts")
    times_attention: bool = option(False, "times the attention of the last blocks")


def relevance(
    scores: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    layout: TokenLayout,
    query: Query = "class",
    start_layer: int = RelevanceOptions.start_layer,
) -> np.ndarray:
    """Return how relevant each patch is to a class, through all blocks.

    A block adds what its attention carries in favour of the class, the positive part of scores
    times gradients, mean over the heads: `R <- R + mean((A * dA)+) R`, from `R = I`. In CaiT the
    rows of the patches are constant within class attention, so there the class token's row counts.

    Args:
        scores: `(B, H, N, N)` by key of self-attention, and of class attention `(B, H, 1, 1 + P)`.
        gradients: shaped as the scores, of the class' logit.
        layout: of the self-attention stage.
        query: whose relevance: see `query_tokens`. With class attention, that of its class token.
        start_layer: number of the first self-attention block that counts.

    Returns:
        `(B, rows, columns)`, float32, not negative.

    Raises:
        InputError: if the scores do not fit the layout.
        UsageError: if the layout has no such query.

    Source: Chefer, Gur and Wolf, ICCV 2021, rules 5 and 6 (https://arxiv.org/abs/2103.15679).
    """

    def matrix(key):
        return np.maximum(scores[key] * gradients[key], 0).mean(axis=1)

    return carry_back(matrix, scores, layout, query, start_layer)


def late_attention(
    scores: Mapping[str, np.ndarray], layout: TokenLayout, query: Query = "class"
) -> np.ndarray:
    """Return what the query attends to, the mean over heads and the last blocks.

    One block, or one head, may keep something on a patch of the background; several seldom agree
    on it, and the class rarely depends on it.

    Args:
        scores: as for `relevance`.
        layout: of the self-attention stage.
        query: as for `relevance`.

    Returns:
        `(B, rows, columns)`, float32: of all class attention, or of the last three blocks.
    """
    class_keys = block_keys(key for key in scores if BlockKey.parse(key).stage == "ca")
    if class_keys:
        rows = [scores[key][:, :, 0].mean(axis=1)[:, 1:] for key in class_keys]
        return on_grid(np.mean(rows, axis=0), layout.grid).astype(np.float32)
    tokens = query_tokens(layout, query)
    rows = [scores[key][:, :, tokens].mean(axis=(1, 2)) for key in block_keys(scores)[-_LATE:]]
    # Differential attention subtracts.
    mean = np.maximum(np.mean(rows, axis=0), 0)
    return on_grid(mean, layout.grid, layout.num_prefix).astype(np.float32)


def carry_back(
    matrix: Matrix,
    keys: Mapping[str, Any] | list[str],
    layout: TokenLayout,
    query: Query,
    start_layer: int = RelevanceOptions.start_layer,
) -> np.ndarray:
    """Apply `R <- R + M R` block by block, for the query's row of R alone.

    Args:
        matrix: from a key to M.
        keys: of both stages, in any order.
        layout: of the self-attention stage.
        query: as for `relevance`.
        start_layer: as for `relevance`.

    Returns:
        `(B, rows, columns)`, float32, the row of R on the grid.
    """
    class_keys = block_keys(key for key in keys if BlockKey.parse(key).stage == "ca")
    own_keys = block_keys(key for key in keys if BlockKey.parse(key).stage != "ca")
    if class_keys:
        # What reaches the patches; they are what the self-attention stage gives out.
        row = _class_row(matrix, class_keys)[:, 1:]
    else:
        row = np.zeros((1, layout.num_tokens))
        tokens = query_tokens(layout, query)
        row[:, tokens] = 1 / len(tokens)
    for key in reversed([key for key in own_keys if block_number(key) >= start_layer]):
        block = matrix(key)
        layout.check(block.shape[-1])
        row = row + (row[:, None] @ block)[:, 0]
    return on_grid(row, layout.grid, layout.num_prefix).astype(np.float32)


def _class_row(matrix: Matrix, keys: list[str]) -> np.ndarray:
    """Return the class token's row of R after the class-attention stage, `(B, 1 + P)`."""
    row = np.zeros(())
    for index, key in enumerate(reversed(keys)):
        block = matrix(key)[:, 0]
        if not index:
            row = np.zeros(block.shape)
            row[:, 0] = 1
        row = row + row[:, :1] * block
    return row


def token_keys(request: Request, start_layer: int = 0) -> list[str]:
    """Return the keys of all attention among tokens that the head's feature has gone through.

    Args:
        request: the call of `explain`.
        start_layer: number of the first self-attention block that counts.

    Raises:
        UsageError: if there is none.
    """
    keys = [*request.keys("sa")[start_layer:], *request.keys("ca")]
    if not keys:
        raise UsageError(channels_refused(f"pooling={request.model.pooling!r}"))
    return keys


def check_start(start_layer: int, depth: int) -> int:
    """Return the number of the first block, or raise `UsageError` if there is no such block."""
    if not 0 <= start_layer < depth:
        raise UsageError(
            f"There is no such block to start at. Received: start_layer={start_layer!r}. "
            f"Choose a number from 0 to {depth - 1}."
        )
    return start_layer


def explain_relevance(request: Request, options: RelevanceOptions) -> SaliencyMap:
    """Make the maps of `method="relevance"`."""
    start = check_start(options.start_layer, request.model.num_layers)
    layout, query = request.layout("sa"), read_query(request)
    keys = token_keys(request, start)
    if request.stage == "sa":
        query_tokens(layout, query)

    def compute(view, pixels, objective):
        _, scores, gradients = tap_gradients(view, pixels, objective.weights, keys)
        maps = relevance(scores, gradients, layout, query, start)
        return maps * late_attention(scores, layout, query) if options.times_attention else maps

    return explain_target(
        request,
        compute,
        method="relevance",
        stage=request.through,
        layers=tuple(keys),
        query=query,
        settings={"start_layer": start, "times_attention": options.times_attention},
    )
