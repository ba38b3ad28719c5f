"""Methods that need the attention scores alone: attention itself and the two rollouts."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.maps import attention_maps, query_tokens
from kerasvit.saliency.methods.rollout import class_attention_rollout, class_stage_row, rollout
from kerasvit.saliency.methods.transitions import DEFAULT_RULE, RolloutRule
from kerasvit.saliency.options import MethodOptions
from kerasvit.saliency.request import STAGES, Request, make_request
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import block_keys, block_number, select_block

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

_LARGEST_SCORES = 4 * 2**30


def explain_attention(request: Request, options: MethodOptions) -> SaliencyMap:
    """Make the maps of `method="attention"`."""
    key = request.chosen_key()
    return attention_by_block(request, [key])[key].fuse(request.heads)


def attention_by_block(request: Request, keys: list[str]) -> dict[str, SaliencyMap]:
    """Return the maps of every head of some blocks of the request's stage, from one run."""
    layout = request.layout(request.stage)
    # The rows of patches are in the full scores alone.
    needs_patches = (
        max(query_tokens(layout, request.query)) >= layout.num_prefix
        and not layout.has_learned_query
    )
    numbers = [block_number(key) for key in keys] if request.stage == "sa" else None
    view = request.view("full" if needs_patches else "cls", numbers)
    maps: dict[str, list[np.ndarray]] = {key: [] for key in keys}
    logits = []
    for batch_logits, *scores in request.run(view):
        logits.append(batch_logits)
        by_key = scores[STAGES.index(request.stage)]
        for key in keys:
            rows = by_key[select_block(by_key, block_number(key))]
            maps[key].append(attention_maps(rows, layout, request.query))
    return {
        key: request.result(
            np.concatenate(maps[key]),
            method="attention",
            layout=layout,
            stage=request.stage,
            layers=(key,),
            heads="all",
            logits=np.concatenate(logits),
        )
        for key in keys
    }


def block_scores(
    model: "ScoreModel", pixels: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, TokenLayout]]:
    """Return every score of every block for one image, as probabilities.

    CaiT's self-attention scores are those before the second head mixing. XCiT's scores among
    channels are none of tokens, and left out.

    Args:
        model: a kerasvit model.
        pixels: `(h, w, 3)`, preprocessed.

    Returns:
        scores: `(H, Q, N)` by key, in order of depth, class attention last.
        layouts: by the same keys.

    Raises:
        InputError: if the image has so many patches that the scores would fill the memory.
    """
    request = make_request(model, pixels[None])
    tokens = request.layout("sa").num_tokens
    size = 4 * model.num_heads * tokens**2 * model.num_layers
    if size > _LARGEST_SCORES and not model.attends_to_channels:
        raise InputError(
            f"All scores of a picture may take {_LARGEST_SCORES >> 30} GiB. Received: {tokens} "
            f"tokens, {size / 2**30:.1f} GiB. Make the picture smaller: --resize"
        )
    mode = "cls" if model.attends_to_channels else "full"
    ((_, *outputs),) = request.run(request.view(mode, scores_before_mixing=True))
    scores, layouts = {}, {}
    for stage, output in zip(STAGES, outputs, strict=True):
        for key in block_keys(output):
            scores[key] = output[key][0].astype(np.float32)
            layouts[key] = request.layout(stage)
    return scores, layouts


def explain_rollout(request: Request, options: RolloutRule) -> SaliencyMap:
    """Make the maps of `method="rollout"`; the options are those of `RolloutRule`.

    Asked of CaiT's class token, which the self-attention stage does not have, it is the rollout
    through both stages.
    """
    if request.stage == "ca" and request.query == "class":
        return explain_class_attention_rollout(request, options)
    layout = request.layout("sa")
    query_tokens(layout, request.query)

    def roll(sa_scores, rule):
        return rollout(sa_scores, layout, request.query, **dataclasses.asdict(rule))

    result = _rolled(request, roll, ("sa",), options)
    return dataclasses.replace(result, method="rollout")


def explain_class_attention_rollout(request: Request, options: RolloutRule) -> SaliencyMap:
    """Make the maps of `method="class_attention_rollout"`; options of `RolloutRule`."""
    if request.stage != "ca" or request.query != "class":
        raise UsageError(
            "Class-attention rollout starts from the class token of a model with class attention. "
            f"Received: query={request.query!r}, stage={request.stage!r}. Choose method='rollout'."
        )
    layout = request.layout("sa")
    if request.model.attends_to_channels:
        return _class_stage_rollout(request, options)

    def roll(sa_scores, ca_scores, rule):
        return class_attention_rollout(sa_scores, ca_scores, layout, **dataclasses.asdict(rule))

    result = _rolled(request, roll, STAGES, options)
    return dataclasses.replace(result, method="class_attention_rollout")


def _class_stage_rollout(request: Request, options: RolloutRule) -> SaliencyMap:
    """Return the rollout of XCiT: through class attention; the tokens before stay where they are.

    Among channels nothing moves from token to token, so those blocks are the identity here (what
    neighbours exchange by convolution, rollout does not know of).
    """
    if options != dataclasses.replace(DEFAULT_RULE, fusion=options.fusion):
        raise UsageError(
            "The rollout of an XCiT goes through its class attention alone, which these options do "
            f"not concern. Received: {options.to_dict()}. Leave them out"
        )
    layout = request.layout("sa")
    maps, logits = [], []
    layers: tuple[str, ...] = ()
    for batch_logits, _, scores in request.run(request.view("cls")):
        row = class_stage_row(scores, request.heads)[:, 1:]
        maps.append(row.astype(np.float32).reshape(-1, *layout.grid))
        logits.append(batch_logits)
        layers = tuple(block_keys(scores))
    return request.result(
        np.concatenate(maps),
        method="class_attention_rollout",
        layout=layout,
        stage="ca",
        layers=layers,
        heads=request.heads,
        logits=np.concatenate(logits),
    )


def _rolled(
    request: Request,
    roll: Callable[..., np.ndarray],
    stages: tuple[str, ...],
    options: RolloutRule,
) -> SaliencyMap:
    """Run the model with all its scores, and reduce each batch at once to its maps."""
    rule = dataclasses.replace(options, fusion=request.heads)
    view = request.view("full", scores_before_mixing=rule.signed == "reject")
    maps, logits = [], []
    layers: tuple[str, ...] = ()
    for batch_logits, *outputs in request.run(view):
        scores = [
            {key: output[key] for key in block_keys(output)} for output in outputs[: len(stages)]
        ]
        logits.append(batch_logits)
        maps.append(roll(*scores, rule))
        layers = (*list(scores[0])[rule.start_layer :], *(key for ca in scores[1:] for key in ca))
    return request.result(
        np.concatenate(maps),
        method="rollout",
        layout=request.layout("sa"),
        stage="+".join(stages),
        layers=layers,
        heads=request.heads,
        settings=rule.to_dict(),
        logits=np.concatenate(logits),
    )
