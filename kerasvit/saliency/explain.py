"""One call from a model and its input to a saliency map."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.saliency.maps import Heads, Query
from kerasvit.saliency.methods.attention import (
    attention_by_block,
    explain_attention,
    explain_class_attention_rollout,
    explain_rollout,
)
from kerasvit.saliency.methods.discovery import explain_lost, explain_tokencut
from kerasvit.saliency.methods.headwise import explain_headwise
from kerasvit.saliency.methods.hiding import explain_occlusion, explain_rise
from kerasvit.saliency.methods.integrated import (
    explain_integrated_gradients,
    explain_smooth_gradients,
)
from kerasvit.saliency.methods.legrad import explain_legrad
from kerasvit.saliency.methods.one_block import explain_grad_attention, explain_grad_cam
from kerasvit.saliency.methods.relevance import explain_relevance
from kerasvit.saliency.request import make_request
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import block_keys, select_block
from kerasvit.saliency.targets import Target


def explain(
    model: Any,
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

    Methods that show attention, whatever the class: `"attention"`, the rows of one block;
    `"rollout"`, self-attention through all blocks; `"class_attention_rollout"`, CaiT's two stages
    together, which is also what `"rollout"` from CaiT's class token is.

    Methods that explain a class by gradients: `"grad_attention"`, `"gradcam"` (one block),
    `"relevance"`, `"legrad"`, `"headwise"` (many blocks), `"integrated_gradients"`, `"smoothgrad"`
    (the input); by hiding parts of the picture: `"occlusion"`, `"rise"`.

    Methods that cut out the main object, whatever the class: `"tokencut"`, `"lost"`.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed as the model expects it.
        method: one of those above.
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
        **options: the method's own. Rollouts: `discard`, `start_layer`, `signed`, see
            `RolloutRule`; CaiT's self-attention scores are taken before the second head mixing,
            where they are probabilities, unless `signed` says how to read those after it.
            Relevance, LeGrad and head-wise: `start_layer`. Others: see the functions
            `explain_...` of their modules.

    Returns:
        The maps, `(B, rows, columns)`, or `(B, H, rows, columns)` for `heads="all"`.
        Integrated gradients and occlusion are signed; `normalise(..., "max")` shows what speaks for
        the class.

    Raises:
        InputError: if `pixels` or the scores are not what they should be.
        UsageError: if the model lacks what is asked for; the message lists what it has.
    """
    if method not in METHODS:
        raise UsageError(
            f"There is no such method. Received: method={method!r}. "
            f"Choose one of {', '.join(map(repr, METHODS))}."
        )
    _check_fit(model, method)
    request = make_request(model, pixels, query, stage, geometries, batch_size, target)
    return METHODS[method](request, layer, heads, options)


def explain_blocks(
    model: Any,
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


# What the methods differ in, for callers that offer several of them at once.
LOOK_AT_ONE_BLOCK = ("attention", "grad_attention", "gradcam")
FUSE_HEADS = ("attention", "rollout", "class_attention_rollout")
SIGNED = ("integrated_gradients", "occlusion")
MASKS = ("tokencut", "lost")

# Which methods have no meaning for a model, by an argument of the model and its value.
_UNFIT: tuple[tuple[str, Callable[[Any], bool], tuple[str, ...], str], ...] = (
    (
        "pooling",
        lambda value: value == "attention",
        ("rollout", "class_attention_rollout", "relevance", "legrad", "headwise"),
        "follows a class token through the blocks, which attention pooling does not read",
    ),
    (
        "block_type",
        lambda value: value == "branched",
        ("gradcam", "tokencut", "lost"),
        "reads the tokens of one attention, and these blocks have several side by side",
    ),
    (
        "attention_type",
        lambda value: value == "differential",
        ("rollout", "class_attention_rollout"),
        "multiplies rows of probabilities, which differential attention has not",
    ),
    (
        "head_blocks",
        lambda value: value is not None and value > 1,
        ("legrad",),
        "reads out one block at a time, and this head reads several together",
    ),
)


def _check_fit(model: Any, method: str) -> None:
    """Raise `UsageError` if a method has no meaning for a model."""
    for argument, applies, methods, reason in _UNFIT:
        value = getattr(model, argument, None)
        if method in methods and applies(value):
            others = ", ".join(repr(name) for name in METHODS if name not in methods)
            raise UsageError(
                f"This method {reason}. Received: method={method!r}, a model with "
                f"{argument}={value!r}. Choose one of {others}."
            )


FORWARD_ONLY = ("attention", "rollout", "class_attention_rollout", "tokencut", "lost")

# Each takes the request, the layer, the heads and the method's own options.
METHODS: dict[str, Callable[..., SaliencyMap]] = {
    "attention": explain_attention,
    "rollout": explain_rollout,
    "class_attention_rollout": explain_class_attention_rollout,
    "grad_attention": explain_grad_attention,
    "relevance": explain_relevance,
    "legrad": explain_legrad,
    "headwise": explain_headwise,
    "gradcam": explain_grad_cam,
    "integrated_gradients": explain_integrated_gradients,
    "smoothgrad": explain_smooth_gradients,
    "occlusion": explain_occlusion,
    "rise": explain_rise,
    "tokencut": explain_tokencut,
    "lost": explain_lost,
}
