"""One call from a model and its input to a saliency map."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.saliency.maps import Heads, Query
from kerasvit.saliency.methods.attention import attention_by_block
from kerasvit.saliency.methods.table import METHODS, find_method
from kerasvit.saliency.request import make_request
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import block_keys, select_block
from kerasvit.saliency.targets import Target

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


def explain(
    model: "ScoreModel",
    pixels: np.ndarray,
    method: str = "attention",
    *,
    target: Target = None,
    layer: int | str | None = None,
    heads: Heads = "mean",
    query: Query = "class",
    stage: str | None = None,
    geometries: Sequence[Geometry] | None = None,
    batch_size: int = 8,
    **options: Any,
) -> SaliencyMap:
    """Run a model and return where it looks.

    The model runs in the cheapest attention mode that gives what the method needs, so the mode of
    `model` itself does not matter.

    What the methods show and which options they take: `METHODS`, or `kerasvit list --methods`.
    Those that have a use for `target` explain a class; the others show what the model attends to,
    or cut out the main object, whatever the class. `"rollout"` from CaiT's class token is
    `"class_attention_rollout"`.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed as the model expects it.
        method: a name of `METHODS`.
        target: what a method that knows classes explains; the others leave it aside. A class by
            number or name, `"top1"`, `"feature"`, or one for each image, also as the feature of
            another picture: see `make_objective`.
        layer: for methods of one block, the block, see `select_block`. None: the first block of
            class attention, which the CaiT paper draws, or the last block of self-attention.
        heads: how heads are combined, see `fuse_heads`; `"attention"` can keep them with `"all"`.
            The methods that explain a class combine them by rules of their own.
        query: whose attention is shown, see `query_tokens`.
        stage: for methods of one block, `"ca"` or `"sa"`; None: class attention where the model
            has it.
        geometries: one for each image, kept in the result.
        batch_size: how many images run at once.
        **options: the method's own, see `METHODS[method].options`. Of rollouts: CaiT's
            self-attention scores are taken before the second head mixing, where they are
            probabilities, unless `signed` says how to read those after it.

    Returns:
        The maps, `(B, rows, columns)`, or `(B, H, rows, columns)` for `heads="all"`.
        Integrated gradients and occlusion are signed; `normalise(..., "max")` shows what speaks for
        the class.

    Raises:
        InputError: if `pixels` or the scores are not what they should be.
        UsageError: if the model lacks what is asked for; the message lists what it has.
    """
    row = find_method(method)
    unfit = row.reason_against(model)
    if unfit is not None:
        others = [name for name, other in METHODS.items() if other.reason_against(model) is None]
        raise UsageError(
            f"This method {unfit.reason}. Received: method={method!r}, a model with "
            f"{unfit.argument}={getattr(model, unfit.argument)!r}. "
            f"Choose one of {', '.join(map(repr, others))}."
        )
    request = make_request(
        model, pixels, query, stage, geometries, batch_size, target, layer, heads
    )
    return row.explain(request, options)


def explain_blocks(
    model: "ScoreModel",
    pixels: np.ndarray,
    layers: Sequence[int | str] | str | None = None,
    *,
    query: Query = "class",
    stage: str | None = None,
    geometries: Sequence[Geometry] | None = None,
    batch_size: int = 8,
) -> dict[str, SaliencyMap]:
    """Run a model once and return the attention maps of every head of several blocks.

    Args:
        model: as for `explain`.
        pixels: as for `explain`.
        layers: blocks, see `select_block`; `"all"`; None: all blocks of class attention, or the
            last block of self-attention.
        query: as for `explain`.
        stage: as for `explain`.
        geometries: as for `explain`.
        batch_size: as for `explain`.

    Returns:
        By key in order of depth, maps of `(B, H, rows, columns)`; `.fuse("mean")` combines the
        heads.

    Raises:
        InputError: as `explain`.
        UsageError: as `explain`.
    """
    request = make_request(model, pixels, query, stage, geometries, batch_size)
    if layers is None:
        layers = "all" if request.stage == "ca" else ["last"]
    keys = request.keys()
    chosen = keys if layers == "all" else [select_block(keys, layer) for layer in layers]
    return attention_by_block(request, block_keys(set(chosen)))
