"""Methods that weigh what one block sees by the gradient of a class."""

import dataclasses

import numpy as np

from kerasvit.layout import BlockKey, TokenLayout
from kerasvit.saliency.gradients import tap_gradients
from kerasvit.saliency.maps import Query, attention_maps, query_tokens
from kerasvit.saliency.methods.by_target import (
    explain_target,
    on_grid,
    read_query,
)
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.request import Request
from kerasvit.saliency.result import SaliencyMap


@dataclasses.dataclass(frozen=True)
class OneBlockOptions(MethodOptions):
    """The options of methods that weigh one block by gradients."""

    weights: str = option(
        "mean",
        "the gradient's mean over the patches, or each patch's own",
        choices=("mean", "patch"),
    )


def grad_attention(
    scores: np.ndarray,
    gradients: np.ndarray,
    layout: TokenLayout,
    query: Query = "class",
    weights: str = OneBlockOptions.weights,
) -> np.ndarray:
    """Return one block's attention with each head weighed by its mean gradient.

    `relu(mean over h of w_h A_h[query, patches])`, where `w_h` is the mean over the patches of the
    gradient; with `weights="patch"` the gradient of each score itself.

    Args:
        scores: `(B, H, N, N)`, or the rows of the tokens that the head reads, see `attention_maps`.
        gradients: shaped as the scores.
        layout: of the stage that made the scores.
        query: see `query_tokens`.
        weights: `"mean"` or `"patch"`.

    Returns:
        `(B, rows, columns)`, float32, not negative.

    Raises:
        InputError: if the scores do not fit the layout or are not finite.
        UsageError: if the layout has no such query.

    Source: the attention Grad-CAM of Chefer, Gur and Wolf, CVPR 2021, section 4
    (https://arxiv.org/abs/2012.09838).
    """
    maps, factors = attention_maps(scores, layout, query), attention_maps(gradients, layout, query)
    if weights == "mean":
        factors = factors.mean(axis=(2, 3), keepdims=True)
    return np.maximum((factors * maps).mean(axis=1), 0)


def grad_cam(
    tokens: np.ndarray,
    gradients: np.ndarray,
    layout: TokenLayout,
    weights: str = OneBlockOptions.weights,
) -> np.ndarray:
    """Return Grad-CAM with the patches as positions and the token's width as channels.

    `relu(sum over c of w_c X[patch, c])`, where `w_c` is the mean over the patches of the gradient;
    with `weights="patch"` the gradient at each patch itself, which is HiResCAM.

    Args:
        tokens: `(B, N, D)`.
        gradients: shaped as the tokens.
        layout: of the tokens.
        weights: `"mean"` or `"patch"`.

    Returns:
        `(B, rows, columns)`, float32, not negative.

    Raises:
        InputError: if the tokens do not fit the layout.

    Source: Selvaraju et al., ICCV 2017, equations 1 and 2 (https://arxiv.org/abs/1610.02391);
    Draelos and Carin 2020, section 3 (https://arxiv.org/abs/2011.08891).
    """
    layout.check(tokens.shape[1])
    if weights == "mean":
        gradients = gradients[:, layout.num_prefix :].mean(axis=1, keepdims=True)
    seen = (tokens * gradients).sum(axis=-1)
    return np.maximum(on_grid(seen, layout.grid, layout.num_prefix), 0)


def explain_grad_attention(request: Request, options: OneBlockOptions) -> SaliencyMap:
    """Make the maps of `method="grad_attention"`."""
    key = request.chosen_key()
    layout, query = request.layout(request.stage), read_query(request)
    query_tokens(layout, query)

    def compute(view, pixels, objective):
        _, scores, gradients = tap_gradients(view, pixels, objective.weights, [key])
        return grad_attention(scores[key], gradients[key], layout, query, options.weights)

    return explain_target(
        request,
        compute,
        method="grad_attention",
        layout=layout,
        stage=request.stage,
        layers=(key,),
        query=query,
        settings=options.to_dict(),
    )


def explain_grad_cam(request: Request, options: OneBlockOptions) -> SaliencyMap:
    """Make the maps of `method="gradcam"`, of the tokens that a block's attention reads.

    Later than there, the patches of a ViT's last block have no gradient: its head reads the class
    token alone.
    """
    key = request.keys("xca")[-1] if request.stage == "xca" else request.chosen_key()
    # What a block that attends among channels reads is tokens too.
    layout = request.layout("sa" if request.stage == "xca" else request.stage)
    place = BlockKey.parse(key).place("tokens")

    def compute(view, pixels, objective):
        _, tokens, gradients = tap_gradients(view, pixels, objective.weights, [place])
        return grad_cam(tokens[place], gradients[place], layout, options.weights)

    return explain_target(
        request,
        compute,
        method="gradcam",
        layout=layout,
        stage=request.stage,
        layers=(key,),
        query=read_query(request),
        settings=options.to_dict(),
    )
