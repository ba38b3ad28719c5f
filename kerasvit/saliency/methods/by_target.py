"""What the methods that explain a class share: the target, the batches, the result."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.saliency.maps import Query
from kerasvit.saliency.request import Request, model_outputs
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.targets import Objective, make_objective

# From the model, one batch of pixels and what is explained to the maps `(B, rows, columns)`.
Compute = Callable[[Any, np.ndarray, Objective], np.ndarray]


def explain_target(request: Request, compute: Compute, **fields: Any) -> SaliencyMap:
    """Find each image's target, then make its map, one batch at a time.

    Args:
        request: the call of `explain`.
        compute: makes the maps of one batch.
        **fields: of the `SaliencyMap`; `layout` and `stage` default to those of the first stage.

    Returns:
        The maps with their targets and the model's first output.
    """
    view = request.view("none")
    logits = model_outputs(view, request.pixels, request.batch_size)
    objective = make_objective(request.model, logits, request.target)
    maps = [
        compute(view, request.pixels[chosen], objective.select(chosen))
        for chosen in request.batches()
    ]
    defaults = {"layout": request.layout("sa"), "stage": "sa"}
    return request.result(
        np.concatenate(maps).astype(np.float32),
        target=objective.classes,
        logits=logits,
        **{**defaults, **fields},
    )


def read_query(request: Request) -> Query:
    """Return whose relevance is shown: `"class"` stands for what the model's head reads.

    That is every patch where the head pools them, and both tokens of a distilled model.

    Raises:
        UsageError: if another query than the class token is asked for in class attention.
    """
    if request.stage == "ca" and request.query not in ("class", "mean"):
        raise UsageError(
            "In class attention the class token alone asks. "
            f"Received: query={request.query!r}. Choose query='class', or method='rollout'."
        )
    if request.query != "class" or request.stage == "ca":
        return request.query
    if request.model.reads_patches:
        return "patches"
    return "mean" if request.model.is_distilled else "class"


def on_grid(tokens: np.ndarray, grid: tuple[int, int], num_prefix: int = 0) -> np.ndarray:
    """Return `(B, N)` values of tokens as `(B, rows, columns)`, without the prefix tokens."""
    return tokens[:, num_prefix:].reshape(-1, *grid)
