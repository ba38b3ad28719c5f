"""One call from a model and pictures, or its input, to saliency maps."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.saliency.maps import Heads, Query
from kerasvit.saliency.method import Method
from kerasvit.saliency.methods.attention import attention_by_block
from kerasvit.saliency.methods.table import METHODS, find_method
from kerasvit.saliency.pictures import (
    Photograph,
    Picture,
    check_kinds,
    is_list_of_pictures,
    is_picture,
    open_pictures,
    prepare,
    stands_for_several,
)
from kerasvit.saliency.request import make_request
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import block_keys, select_block
from kerasvit.saliency.several import SaliencyMaps
from kerasvit.saliency.targets import Target, check_count

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


@overload
def explain(
    model: "ScoreModel",
    pixels: Picture,
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
) -> SaliencyMap: ...
@overload
def explain(
    model: "ScoreModel",
    pixels: Sequence[Picture],
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
) -> SaliencyMaps: ...
def explain(
    model: "ScoreModel",
    pixels: Any,
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
) -> SaliencyMap | SaliencyMaps:
    """Run a model and return where it looks, in a picture, in several, or in its input.

        explain(kerasvit.from_pretrained(), "cat.jpg").plot()

    Pictures are prepared as the model's record says, whole, at their own aspect ratio, and the
    result keeps them for its figures.

    The model runs in the cheapest attention mode that gives what the method needs, so the mode of
    `model` itself does not matter.

    What the methods show and which options they take: `METHODS`, or `kerasvit list --methods`.
    Those that have a use for `target` explain a class; the others show what the model attends to,
    or cut out the main object, whatever the class. `"rollout"` from CaiT's class token is
    `"class_attention_rollout"`.

    Args:
        model: a kerasvit model.
        pixels: a picture: a path, `"sample:NAME"`, a PIL image, the bytes of a file, or uint8
            `(h, w, 3)`, RGB. A list of pictures, of whatever sizes, or a folder or pattern. Or
            `(B, h, w, 3)`, preprocessed as the model expects it: four axes are always taken as they
            are, of uint8 too; `list(images)` makes pictures of them.
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
        geometries: one for each image, kept in the result; those of pictures are made with them.
        batch_size: how many images run at once.
        **options: the method's own, see `METHODS[method].options`. Of rollouts: CaiT's
            self-attention scores are taken before the second head mixing, where they are
            probabilities, unless `signed` says how to read those after it.

    Returns:
        The maps, `(B, rows, columns)`, or `(B, H, rows, columns)` for `heads="all"`; of one picture
        B is 1. For a list of pictures, a folder or a pattern, one such result for each.
        Integrated gradients and occlusion are signed; `normalise(..., "max")` shows what speaks for
        the class.

    Raises:
        InputError: if `pixels` or the scores are not what they should be, or a picture cannot be
            read.
        UsageError: if the model lacks what is asked for; the message lists what it has. For
            pictures, if its record does not say how they are prepared.
    """
    row = find_method(method)
    check_kinds(model, pixels)
    _check_fit(row, model)
    arguments: dict[str, Any] = {
        "query": query,
        "stage": stage,
        "batch_size": batch_size,
        "layer": layer,
        "heads": heads,
    }
    several = is_list_of_pictures(pixels) or stands_for_several(pixels)
    if several or is_picture(pixels):
        _refuse_geometries(geometries)
        photographs = open_pictures(pixels if is_list_of_pictures(pixels) else [pixels])
        results = _explain_pictures(row, model, photographs, target, arguments, options)
        return SaliencyMaps(results) if several else results[0]
    if isinstance(pixels, np.ndarray) and pixels.dtype.kind in "iu":
        pixels = pixels.astype(np.float32)  # Not every backend multiplies integers by weights.
    request = make_request(model, pixels, geometries=geometries, target=target, **arguments)
    return row.explain(request, options)


def _check_fit(row: Method, model: "ScoreModel") -> None:
    row.check_backend()
    unfit = row.reason_against(model)
    if unfit is not None:
        others = [name for name, other in METHODS.items() if other.reason_against(model) is None]
        raise UsageError(
            f"This method {unfit.reason}. Received: method={row.name!r}, a model with "
            f"{unfit.argument}={getattr(model, unfit.argument)!r}. "
            f"Choose one of {', '.join(map(repr, others))}."
        )


def _refuse_geometries(geometries: Sequence[Geometry] | None) -> None:
    if geometries is not None:
        raise UsageError(
            "The geometries of pictures are made with them. Received: geometries of "
            f"{len(geometries)} images. Leave them out, or pass prepared pixels."
        )


def _explain_pictures(
    row: Method,
    model: "ScoreModel",
    photographs: Sequence[Photograph],
    target: Target,
    arguments: dict[str, Any],
    options: dict[str, Any],
) -> list[SaliencyMap]:
    """Return a result for each photograph; those that are prepared to one size run together."""
    prepared = prepare(model, photographs)
    check_count(target, len(photographs))
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, ready in enumerate(prepared):
        by_size.setdefault(ready.pixels.shape, []).append(index)
    results: dict[int, SaliencyMap] = {}
    for indices in by_size.values():
        request = make_request(
            model,
            np.stack([prepared[index].pixels for index in indices]),
            geometries=[prepared[index].geometry for index in indices],
            target=_of_some(target, indices),
            **arguments,
        )
        together = dataclasses.replace(
            row.explain(request, options),
            photographs=tuple(photographs[index] for index in indices),
            class_names=model.problem.names if model.num_classes else (),
        )
        results |= {index: together.select(place) for place, index in enumerate(indices)}
    return [results[index] for index in range(len(photographs))]


def _of_some(target: Target, indices: Sequence[int]) -> Target:
    """Return the targets of some of the pictures; one that is for all stays."""
    if target is None or isinstance(target, str | int | np.integer):
        return target
    if isinstance(target, np.ndarray):
        return target[list(indices)]
    return [target[index] for index in indices]


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
        pixels: `(B, h, w, 3)`, preprocessed as the model expects it.
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
