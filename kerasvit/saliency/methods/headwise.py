"""The head-wise method of "Beyond Intuition": attention carried back, times gradients."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from kerasvit.layout import BlockKey
from kerasvit.saliency.gradients import tap_gradients
from kerasvit.saliency.maps import query_tokens
from kerasvit.saliency.methods.by_target import (
    explain_target,
    on_grid,
    read_query,
)
from kerasvit.saliency.methods.relevance import carry_back, check_start, token_keys
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.request import Request
from kerasvit.saliency.result import SaliencyMap

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


@dataclasses.dataclass(frozen=True)
class HeadwiseOptions(MethodOptions):
    """The options of the head-wise method."""

    steps: int = option(20, "points on the way from zero to the picture", lowest=2)
    start_layer: int | None = option(None, "first block that counts; None: a quarter of the depth")


def weighed_heads(scores: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return a block's heads as one matrix, each weighed by its importance to the class.

    The importance of head h is the mean of `|A_h^T dA_h|`; the weights sum to 1 (they are equal
    where no head matters).

    Args:
        scores: `(B, H, Q, N)`.
        gradients: shaped as the scores.

    Returns:
        `(B, Q, N)`.

    Source: Chen et al., TMLR 2023, section 4 (https://openreview.net/forum?id=rm0zIzlhcX).
    """
    products = np.matmul(scores.transpose(0, 1, 3, 2), gradients)
    importance = np.abs(products).mean(axis=(2, 3))
    total = importance.sum(axis=1, keepdims=True)
    even = np.full_like(importance, 1 / importance.shape[1])
    weights = np.divide(importance, total, out=even, where=total > 0)
    return np.einsum("bh,bhqn->bqn", weights, scores)


def explain_headwise(request: Request, options: HeadwiseOptions) -> SaliencyMap:
    """Make the maps of `method="headwise"`.

    With `R <- R + M R` over the upper blocks, M as in `weighed_heads`, and F the positive part of
    the last block's gradient, mean over the heads and over `steps` inputs from zero to the image,
    the map is `F * R` in the query's row. `start_layer` defaults to a quarter of the depth, as in
    the authors' code. CaiT's self-attention is taken before the second head mixing, where it holds
    probabilities.
    """
    depth = request.model.num_layers
    start = check_start(depth // 4 if options.start_layer is None else options.start_layer, depth)
    layout, query = request.layout("sa"), read_query(request)
    keys = token_keys(request, start)
    if request.stage == "sa":
        query_tokens(layout, query)

    def compute(view, pixels, objective):
        view = request.view("none", scores_before_mixing=True)
        _, scores, gradients = tap_gradients(view, pixels, objective.weights, keys)
        carried = carry_back(
            lambda key: weighed_heads(scores[key], gradients[key]), keys, layout, query
        )
        last = _integrated_gradient(view, pixels, objective.weights, keys[-1], options.steps)
        stage = request.layout(BlockKey.parse(keys[-1]).stage)
        rows = [0] if request.keys("ca") else query_tokens(layout, query)
        return carried * on_grid(last[:, rows].mean(axis=1), layout.grid, stage.num_prefix)

    return explain_target(
        request,
        compute,
        method="headwise",
        stage=request.through,
        layers=tuple(keys),
        query=query,
        settings={"steps": options.steps, "start_layer": start},
    )


def _integrated_gradient(
    view: "ScoreModel", pixels: np.ndarray, weights: np.ndarray, key: str, steps: int
) -> np.ndarray:
    """Return the positive part of a block's mean gradient on the way from zero, `(B, Q, N)`."""
    total: np.ndarray | float = 0.0
    for share in np.linspace(0, 1, steps, dtype=np.float32):
        total = total + tap_gradients(view, pixels * share, weights, [key])[2][key]
    return np.maximum(total / steps, 0).mean(axis=1)
