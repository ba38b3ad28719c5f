"""One call from a model and its input to a saliency map."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.saliency.maps import Heads, Query, attention_maps, query_tokens
from kerasvit.saliency.request import STAGES, Request, make_request, to_numpy
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.rollout import class_attention_rollout, rollout
from kerasvit.saliency.scores import block_keys, block_number, select_block
from kerasvit.saliency.transitions import RolloutRule


def explain(
    model: Any,
    pixels: np.ndarray,
    method: str = "attention",
    *,
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

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed as the model expects it.
        method: `"attention"`, the rows of one block; `"rollout"`, self-attention through all
            blocks; `"class_attention_rollout"`, CaiT's two stages together.
        layer: for `"attention"`, the block, see `select_block`. None: the first block of class
            attention, which the CaiT paper draws, or the last block of self-attention.
        heads: how heads are combined, see `fuse_heads`; `"attention"` can keep them with `"all"`.
        query: whose attention is shown, see `query_tokens`.
        stage: for `"attention"`, `"ca"` or `"sa"`; None: class attention where the model has it.
        geometries: one for each image, kept in the result.
        batch_size: how many images run at once.
        **options: for the rollouts `discard`, `start_layer` and `signed`, see `RolloutRule`. CaiT's
            self-attention scores are taken before the second head mixing, where they are
            probabilities, unless `signed` says how to read those after it.

    Returns:
        The maps, `(B, rows, columns)`, or `(B, H, rows, columns)` for `heads="all"`.

    Raises:
        InputError: if `pixels` or the scores are not what they should be.
        UsageError: if the model lacks what is asked for; the message lists what it has.
    """
    if method not in METHODS:
        raise UsageError(
            f"There is no such method. Received: method={method!r}. "
            f"Choose one of {', '.join(map(repr, METHODS))}."
        )
    request = make_request(model, pixels, query, stage, geometries, batch_size)
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
    return _attention_by_block(request, block_keys(set(chosen)))


def _explain_attention(
    request: Request, layer: int | str | None, heads: Heads, options: dict[str, Any]
) -> SaliencyMap:
    _check_options(options, ())
    if layer is None:
        layer = "first" if request.stage == "ca" else "last"
    key = select_block(request.keys(), layer)
    return _attention_by_block(request, [key])[key].fuse(heads)


def _attention_by_block(request: Request, keys: list[str]) -> dict[str, SaliencyMap]:
    layout = request.layout(request.stage)
    # The rows of patches are in the full scores alone.
    needs_patches = max(query_tokens(layout, request.query)) >= layout.num_prefix
    numbers = [block_number(key) for key in keys] if request.stage == "sa" else None
    view = request.view("full" if needs_patches else "cls", numbers)
    maps, logits = {key: [] for key in keys}, []
    for batch_logits, *scores in request.run(view):
        logits.append(batch_logits)
        by_key = scores[STAGES.index(request.stage)]
        for key in keys:
            rows = to_numpy(by_key[select_block(by_key, block_number(key))])
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


def _explain_rollout(
    request: Request, layer: int | str | None, heads: Heads, options: dict[str, Any]
) -> SaliencyMap:
    layout = request.layout("sa")
    query_tokens(layout, request.query)

    def roll(sa_scores, rule):
        return rollout(sa_scores, layout, request.query, **dataclasses.asdict(rule))

    result = _rolled(request, roll, ("sa",), layer, heads, options)
    return dataclasses.replace(result, method="rollout")


def _explain_class_attention_rollout(
    request: Request, layer: int | str | None, heads: Heads, options: dict[str, Any]
) -> SaliencyMap:
    if request.stage != "ca" or request.query != "class":
        raise UsageError(
            "Class-attention rollout starts from the class token of a model with class attention. "
            f"Received: query={request.query!r}, stage={request.stage!r}. Choose method='rollout'."
        )
    layout = request.layout("sa")

    def roll(sa_scores, ca_scores, rule):
        return class_attention_rollout(sa_scores, ca_scores, layout, **dataclasses.asdict(rule))

    result = _rolled(request, roll, STAGES, layer, heads, options)
    return dataclasses.replace(result, method="class_attention_rollout")


def _rolled(
    request: Request,
    roll: Callable[..., np.ndarray],
    stages: tuple[str, ...],
    layer: int | str | None,
    heads: Heads,
    options: dict[str, Any],
) -> SaliencyMap:
    """Run the model with all its scores, and reduce each batch at once to its maps."""
    _check_options(options, ("discard", "start_layer", "signed"))
    if layer is not None:
        raise UsageError(
            f"A rollout goes through all blocks. Received: layer={layer!r}. "
            "Leave it out, or pass start_layer."
        )
    rule = RolloutRule(heads, **options)
    view = request.view("full", scores_before_mixing=rule.signed == "reject")
    maps, logits, layers = [], [], ()
    for batch_logits, *outputs in request.run(view):
        scores = [
            {key: to_numpy(output[key]) for key in block_keys(output)}
            for output in outputs[: len(stages)]
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
        heads=heads,
        settings={name: getattr(rule, name) for name in ("discard", "start_layer", "signed")},
        logits=np.concatenate(logits),
    )


def _check_options(options: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        choice = f"It takes {', '.join(known)}" if known else "It takes none"
        raise UsageError(
            f"This method has no such option. Received: {', '.join(unknown)}. {choice}."
        )


# Each takes the request, the layer, the heads and the method's own options. A method need not use
# `Request.run`: those by gradients run the model backward too.
METHODS: dict[str, Callable[..., SaliencyMap]] = {
    "attention": _explain_attention,
    "rollout": _explain_rollout,
    "class_attention_rollout": _explain_class_attention_rollout,
}
