"""LeGrad: the gradient of the attention itself, each block read out as if it were the last."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.layout import BlockKey, TokenLayout
from kerasvit.saliency.gradients import read_out_gradients
from kerasvit.saliency.methods.by_target import (
    explain_target,
    on_grid,
    read_query,
)
from kerasvit.saliency.methods.relevance import check_start
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.request import Request
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import block_keys

# So many of the last blocks count, where nothing else is asked for.
_BLOCKS = 2


@dataclasses.dataclass(frozen=True)
class LegradOptions(MethodOptions):
    """The options of LeGrad."""

    start_layer: int | None = option(None, "first block that counts; None: the last but one")


def legrad(gradients: Mapping[str, np.ndarray], layout: TokenLayout) -> np.ndarray:
    """Return the mean of the positive gradients over blocks, heads and queries.

    Args:
        gradients: `(B, H, Q, N)` by block: of the class' logit, when the model's head reads this
            block's output, with respect to the block's scores.
        layout: of the stage.

    Returns:
        `(B, rows, columns)`, float32, not negative.

    Raises:
        InputError: if the gradients do not fit the layout.

    Source: Bousselham et al., ICCV 2025, equations 4 to 9 (https://arxiv.org/abs/2404.03214).
    """
    blocks = []
    for gradient in map(gradients.__getitem__, block_keys(gradients)):
        layout.check(gradient.shape[-1])
        blocks.append(np.maximum(gradient, 0).mean(axis=(1, 2)))
    return on_grid(np.mean(blocks, axis=0), layout.grid, layout.num_prefix)


def explain_legrad(request: Request, options: LegradOptions) -> SaliencyMap:
    """Make the maps of `method="legrad"`.

    In CaiT the blocks are those of class attention, the only ones that the head could read.
    """
    has_class_blocks = bool(request.keys("ca"))
    if has_class_blocks and request.stage == "sa":
        raise UsageError(
            "LeGrad reads each block's output with the model's head, and CaiT's self-attention has "
            "no class token to read. Received: stage='sa'. Leave it out, or choose "
            "method='relevance'."
        )
    layout = request.layout(request.stage)
    blocks = request.model.class_blocks if has_class_blocks else request.model.blocks
    start = options.start_layer
    if start is None:
        start = max(0, len(blocks) - _BLOCKS)
    blocks = blocks[check_start(start, len(blocks)) :]

    def compute(view, pixels, objective):
        _, gradients = read_out_gradients(view, pixels, objective.weights, blocks)
        return legrad(gradients, layout)

    return explain_target(
        request,
        compute,
        method="legrad",
        layout=layout,
        stage=request.stage,
        layers=tuple(str(BlockKey.parse(block.name)) for block in blocks),
        query=read_query(request),
        settings={"start_layer": start},
    )
