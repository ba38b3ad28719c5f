"""Gradients of what a model says: of its attention scores, its tokens and its input.

One backward pass gives all of them. The scores and tokens get zeros added, and the gradient of the
zeros is theirs: the only handle that every backend offers, JAX included.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.layout import BlockKey
from kerasvit.saliency.backends import differentiate
from kerasvit.saliency.request import make_request, model_outputs
from kerasvit.saliency.targets import Target, make_objective

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


def attention_gradients(
    model: "ScoreModel",
    pixels: np.ndarray,
    target: Target = None,
    places: Sequence[str] | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return attention scores and the gradients of a class' logit with respect to them.

    Args:
        model: a kerasvit model in any attention mode. CaiT's self-attention scores are those after
            the second head mixing, or before it with `scores_before_mixing`.
        pixels: `(B, h, w, 3)`, preprocessed.
        target: the class, see `make_objective`.
        places: keys of the scores, or other places inside the model, see
            `kerasvit.models.taps.Taps`. None: the scores of every block, but those of XCiT that
            are among channels.

    Returns:
        logits: `(B, K)`.
        scores: by key in order of depth, `(B, H, N, N)`, and `(B, H, 1, 1 + P)` in class attention.
        gradients: by key, shaped as the scores. Each image's depends on that image alone.

    Raises:
        InputError: if the model's outputs are not finite.
        UsageError: if there is no such class.
    """
    request = make_request(model, pixels)
    view = request.view("none")
    logits = model_outputs(view, request.pixels)
    weights = make_objective(model, logits, target).weights
    if places is None:
        keys = [BlockKey.parse(block.name) for block in model.all_blocks()]
        places = [str(key) for key in keys if not key.is_of_channels]
    logits, found, gradients = tap_gradients(view, request.pixels, weights, places)
    ordered = {place: found[place] for place in places}
    return logits, ordered, {place: gradients[place] for place in places}


def tap_gradients(
    model: "ScoreModel", pixels: np.ndarray, weights: np.ndarray, places: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what is at some places of a model, and the gradients with respect to it.

    Args:
        model: as for `attention_gradients`.
        pixels: as for `attention_gradients`.
        weights: `(B, K)`, of the model's first output in the objective.
        places: see `kerasvit.models.taps.Taps`; no outputs.

    Returns:
        logits: `(B, K)`.
        found: by place.
        gradients: by place, shaped as `found`.
    """
    constants = {"pixels": pixels, "weights": weights}
    zeros = _zeros(model, places, pixels)
    (logits, found), gradients = differentiate(model, _tapped, zeros, constants, (tuple(places),))
    return logits, found, gradients


def _tapped(
    model: "ScoreModel", tensors: Mapping[str, Any], places: tuple[str, ...]
) -> tuple[Any, Any]:
    taps = {place: tensors[place] for place in places}
    logits, found = model.call_with_taps(tensors["pixels"], taps)
    return _objective(logits, tensors), (logits, found)


def _zeros(model: "ScoreModel", places: Sequence[str], pixels: np.ndarray) -> dict[str, np.ndarray]:
    return {place: np.zeros(model.tap_shape(place, pixels.shape), np.float32) for place in places}


def read_out_gradients(
    model: "ScoreModel", pixels: np.ndarray, weights: np.ndarray, blocks: Sequence[Any]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the gradients of each block's scores when the head reads that block's own output.

    Every block is differentiated as if it were the last, and apart from those before it.

    Args:
        model: as for `attention_gradients`.
        pixels: as for `attention_gradients`.
        weights: as for `tap_gradients`.
        blocks: layers of the model, of the stage that its head reads.

    Returns:
        logits: `(B, K)`, the model's own.
        gradients: by key of the scores, shaped as the scores.
    """
    keys = tuple(BlockKey.parse(block.name) for block in blocks)
    zeros = _zeros(model, [str(key) for key in keys], pixels)
    constants = {"pixels": pixels, "weights": weights}
    return differentiate(model, _read_out, zeros, constants, (keys,))


def _read_out(
    model: "ScoreModel", tensors: Mapping[str, Any], keys: tuple[BlockKey, ...]
) -> tuple[Any, Any]:
    taps = {str(key): tensors[str(key)] for key in keys}
    outputs = {key.place("output"): None for key in keys}
    logits, found = model.call_with_taps(tensors["pixels"], {**taps, **outputs}, isolate=True)
    objectives = [_objective(model.read_out(found[place]), tensors) for place in outputs]
    return sum(objectives), logits


def input_gradients(
    model: "ScoreModel", pixels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients with respect to the model's input.

    Args:
        model: as for `attention_gradients`.
        pixels: as for `attention_gradients`.
        weights: as for `tap_gradients`.

    Returns:
        logits: `(B, K)`.
        gradients: `(B, h, w, 3)`.
    """
    logits, gradients = differentiate(model, _plain, {"pixels": pixels}, {"weights": weights})
    return logits, gradients["pixels"]


def _plain(model: "ScoreModel", tensors: Mapping[str, Any]) -> tuple[Any, Any]:
    logits, _ = model.call_with_taps(tensors["pixels"], {})
    return _objective(logits, tensors), logits


def _objective(logits: Any, tensors: Mapping[str, Any]) -> Any:
    from keras import ops

    return ops.sum(ops.cast(logits, "float32") * tensors["weights"])
