"""One block as a matrix of probabilities: what rollout multiplies."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.maps import Heads, fuse_heads
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.scores import block_keys, block_number

# Rows of a softmax in bfloat16 sum to 1 within about 0.01.
_ROW_SUM_TOLERANCE = 2e-2


@dataclasses.dataclass(frozen=True)
class RolloutRule(MethodOptions):
    """How the scores of the blocks become the matrices that rollout multiplies.

    Args:
        fusion: how the heads of a block become one, see `fuse_heads`.
        discard: share in [0, 1) of the entries in the patch columns, the smallest ones of each
            block and image, that count as zero; the columns of prefix tokens are kept.
        start_layer: number of the first self-attention block that counts.
        signed: what to do with rows that are no probabilities, such as those of CaiT after the
            second head mixing: `"reject"` them, or take their `"absolute"` or `"positive"` values
            and scale each row to sum 1 (a row without any becomes even).

    Raises:
        UsageError: if a value is out of range.
    """

    fusion: Heads = "mean"
    discard: float = option(
        0.0, "share of the smallest entries of a block that count as zero", lowest=0, below=1
    )
    start_layer: int = option(0, "first self-attention block that counts")
    signed: str = option(
        "reject",
        "what rows that are no probabilities become",
        choices=("reject", "absolute", "positive"),
    )


DEFAULT_RULE = RolloutRule()


def complete_keys(scores: Mapping[str, np.ndarray], start_layer: int = 0) -> list[str]:
    """Return the keys from `start_layer` on, in order, and see that none is missing.

    Raises:
        InputError: if the numbers have a gap.
        UsageError: if `start_layer` is not among them.
    """
    keys = block_keys(scores)
    numbers = [block_number(key) for key in keys]
    if not numbers or not 0 <= start_layer <= numbers[-1]:
        raise UsageError(
            f"Rollout starts at one of the blocks {numbers}. Received: start_layer={start_layer!r}."
            " Pass the scores of a model with attention='full'."
        )
    missing = sorted(set(range(start_layer, numbers[-1])) - set(numbers))
    if missing:
        raise InputError(
            f"Rollout multiplies all blocks from {start_layer} on. Received: no scores of the "
            f"blocks {missing}. Use a model that returns the scores of every block."
        )
    return [key for key in keys if block_number(key) >= start_layer]


def transition(scores: np.ndarray, key: str, layout: TokenLayout, rule: RolloutRule) -> np.ndarray:
    """Return one block as half residual, half attention: `(I + A) / 2`, each row scaled to sum 1.

    Args:
        scores: `(B, H, N, N)`.
        key: the block's name, for messages.
        layout: of the self-attention stage.
        rule: see `RolloutRule`; `start_layer` plays no part here.

    Returns:
        `(B, N, N)`, float64, a new array.

    Raises:
        InputError: if the scores do not fit the layout, miss rows, or are no probabilities.
    """
    layout.check(scores.shape[-1])
    if scores.shape[-2] != scores.shape[-1]:
        raise InputError(
            f"Rollout needs every row of the scores. Received: shape {scores.shape} for {key!r}. "
            "Use a model with attention='full'."
        )
    matrix = fused_rows(scores, key, rule.fusion, rule.signed)
    _discard(matrix[..., layout.num_prefix :], rule.discard)
    matrix += np.eye(matrix.shape[-1])
    return np.divide(matrix, matrix.sum(axis=-1, keepdims=True), out=matrix)


def fused_rows(scores: np.ndarray, key: str, fusion: Heads, signed: str = "reject") -> np.ndarray:
    """Return one block's rows of probabilities with the heads fused.

    Args:
        scores: `(B, H, Q, N)`.
        key: the block's name, for messages.
        fusion: see `RolloutRule`.
        signed: see `RolloutRule`.

    Returns:
        `(B, Q, N)`, float64, a new array.

    Raises:
        InputError: if the rows are no probabilities and `signed` rejects them.
        UsageError: if `fusion` keeps the heads apart.
    """
    fused = fuse_heads(_probabilities(np.asarray(scores, np.float32), key, signed), fusion)
    if fused.ndim != 3:
        raise UsageError(
            "Rollout needs one matrix a block. Received: all heads. Choose 'mean', 'max', 'min', "
            "a head, or a list of heads."
        )
    return fused.astype(np.float64)


def _probabilities(scores: np.ndarray, key: str, signed: str) -> np.ndarray:
    sums = scores.sum(axis=-1, keepdims=True)
    if not np.isfinite(sums).all():
        raise InputError(
            f"The scores must be finite. Received: NaN or infinity in {key!r}. "
            "Check the model's weights and its input."
        )
    if signed == "reject":
        if scores.min() < 0 or np.abs(sums - 1).max() > _ROW_SUM_TOLERANCE:
            raise InputError(
                f"Rollout needs rows of probabilities. Received: values down to {scores.min():.3g} "
                f"and row sums from {sums.min():.3g} to {sums.max():.3g} in {key!r}, as CaiT "
                "returns them after its second head mixing. Use a model with "
                "scores_before_mixing=True, or pass signed='absolute' or signed='positive'."
            )
        return scores
    scores = np.abs(scores) if signed == "absolute" else np.maximum(scores, 0)
    sums = scores.sum(axis=-1, keepdims=True)
    even = np.full_like(scores, 1 / scores.shape[-1])
    return np.divide(scores, sums, out=even, where=sums > 0)


def _discard(patch_columns: np.ndarray, share: float) -> None:
    """Set the smallest entries of each image to zero, in place."""
    for image in patch_columns:
        # So that 0.29 of 100 entries, which is 28.999..., counts as 29.
        count = math.floor(share * image.size + 1e-9)
        if count:
            smallest = np.argpartition(image, count - 1, axis=None)[:count]
            image[np.unravel_index(smallest, image.shape)] = 0
