"""The probes of a model over pictures, one picture at a time, so that scores do not pile up."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kerasvit.errors import InputError
from kerasvit.layout import BlockKey
from kerasvit.saliency.methods.attention import block_scores
from kerasvit.saliency.probes.attention import attention_distance, attention_entropy
from kerasvit.saliency.probes.features import block_outputs, linear_cka
from kerasvit.saliency.probes.sinks import norm_outliers, prefix_share, sink_ratio

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

# With fewer pictures than this nearly all features look alike.
FEWEST_PICTURES = 8


def survey_attention(
    model: "ScoreModel", pictures: Iterable[np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Return how far and how widely each head looks, the mean over pictures.

    Args:
        model: a kerasvit model.
        pictures: `(h, w, 3)`, preprocessed, at least one.

    Returns:
        `"distance"`, in pixels of the input, for self-attention, and `"entropy"`, in bits, for both
        stages: each `(H,)` by key of the block.

    Raises:
        InputError: if there is no picture, or one has too many patches.
    """
    distances: dict[str, np.ndarray] = {}
    entropies: dict[str, np.ndarray] = {}
    count = 0
    for pixels in pictures:
        scores, layouts = block_scores(model, pixels)
        for key, rows in scores.items():
            layout = layouts[key]
            _add(entropies, key, attention_entropy(rows[None], layout)[0])
            if BlockKey.parse(key).stage == "sa":
                _add(distances, key, attention_distance(rows[None], layout)[0])
        count += 1
    if not count:
        raise InputError("The attention of a model is surveyed on pictures. Received: none.")
    return {
        name: {key: value / count for key, value in totals.items()}
        for name, totals in (("distance", distances), ("entropy", entropies))
    }


def _add(totals: dict[str, np.ndarray], key: str, values: np.ndarray) -> None:
    totals[key] = totals.get(key, 0) + values


def survey_sinks(
    model: "ScoreModel", pictures: Iterable[np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Return where attention and length pile up, picture by picture.

    Args:
        model: a kerasvit model.
        pictures: `(h, w, 3)`, preprocessed, at least one.

    Returns:
        By key of the block: `"sink_ratio"` and `"sink_token"`, `(pictures,)`, see `sink_ratio`, and
        `"prefix_share"`, `(pictures, H)`; by name of the block `"norm_outliers"`, `(pictures,)`.

    Raises:
        InputError: if there is no picture, or one has too many patches.
    """
    found: dict[str, dict[str, list[np.ndarray]]] = {
        name: {} for name in ("sink_ratio", "sink_token", "prefix_share", "norm_outliers")
    }

    def keep(name: str, key: str, values: np.ndarray) -> None:
        found[name].setdefault(key, []).append(values[0])

    for pixels in pictures:
        scores, layouts = block_scores(model, pixels)
        for key, rows in scores.items():
            ratio, token = sink_ratio(rows[None], layouts[key])
            keep("sink_ratio", key, ratio)
            keep("sink_token", key, token)
            keep("prefix_share", key, prefix_share(rows[None], layouts[key]))
        layout = model.token_layout(pixels.shape)
        for name, tokens in block_outputs(model, pixels[None], range(model.num_layers)).items():
            keep("norm_outliers", name, norm_outliers(tokens, layout))
    if not found["norm_outliers"]:
        raise InputError("The sinks of a model are surveyed on pictures. Received: none.")
    return {
        name: {key: np.stack(values) for key, values in by_block.items()}
        for name, by_block in found.items()
    }


def survey_features(model: "ScoreModel", pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the mean token of the patches after each self-attention block.

    Args:
        model: a kerasvit model.
        pictures: `(h, w, 3)`, preprocessed, at least one.

    Returns:
        `(pictures, D)` by name of the block, in order of depth.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for pixels in pictures:
        prefix = model.token_layout(pixels.shape).num_prefix
        outputs = block_outputs(model, pixels[None], range(model.num_layers))
        for name, tokens in outputs.items():
            rows.setdefault(name, []).append(tokens[0, prefix:].mean(axis=0))
    return {name: np.stack(values) for name, values in rows.items()}


def compare_layers(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> np.ndarray:
    """Return linear CKA of each block of one model with each block of another.

    Args:
        first: `(pictures, D)` by block, see `survey_features`.
        second: the same of the other model, or of the same one, on the same pictures.

    Returns:
        `(blocks, blocks)` in [0, 1].

    Raises:
        InputError: if there are fewer than 8 pictures, or not as many on both sides.
    """
    count = len(next(iter(first.values())))
    if count < FEWEST_PICTURES:
        raise InputError(
            f"Layers are compared on at least {FEWEST_PICTURES} pictures; on fewer, all look "
            f"alike. Received: {count}. Add pictures"
        )
    return np.array(
        [[linear_cka(one, other) for other in second.values()] for one in first.values()]
    )
