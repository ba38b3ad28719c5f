"""Attention sinks and tokens of unusual length: what spoils maps, and where."""

import numpy as np

from kerasvit.errors import InputError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.probes.attention import check_probabilities
from kerasvit.saliency.probes.features import token_norms


def attention_received(scores: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Return how much attention each token receives: the sum of its column, heads averaged.

    Args:
        scores: `(B, H, Q, N)`, probabilities; class attention too.
        layout: of the stage.

    Returns:
        `(B, N)`, whose rows sum to Q.

    Raises:
        InputError: if the scores do not fit the layout, or are no probabilities.
    """
    check_probabilities(scores, layout, whole=False)
    return scores.mean(axis=1, dtype=np.float64).sum(axis=1)


def sink_ratio(scores: np.ndarray, layout: TokenLayout) -> tuple[np.ndarray, np.ndarray]:
    """Return how far one token's share of the attention outshines the usual token's, and which.

    A sink receives much attention whatever the picture shows. 1 says that all tokens receive alike;
    DINOv2 ViT-S/14 has 15 to 200 in its blocks, its class token being the sink.

    Args:
        scores: as for `attention_received`.
        layout: of the stage.

    Returns:
        ratio: `(B,)`, the largest column sum over the median one; infinite where most tokens
            receive nothing.
        token: `(B,)`, the number of the token with the largest.

    Raises:
        InputError: as `attention_received`.

    Source: Li et al. 2026, "attention sinks in vision transformers"
    (https://owenzlz.github.io/blog/2026/ViT-sink): the sink score c_j = sum_i A_ij, the
    concentration r = max c / median c.
    """
    received = attention_received(scores, layout)
    with np.errstate(divide="ignore"):
        ratio = received.max(axis=1) / np.median(received, axis=1)
    return ratio, received.argmax(axis=1)


def prefix_share(scores: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Return the share of each head's attention that goes to tokens before the patches.

    Args:
        scores: as for `attention_received`.
        layout: of the stage.

    Returns:
        `(B, H)` in [0, 1], the mean over all tokens that ask; 0 without such tokens.

    Raises:
        InputError: as `attention_received`.
    """
    check_probabilities(scores, layout, whole=False)
    before = scores[..., : layout.num_prefix].astype(np.float64)
    return before.sum(axis=-1).mean(axis=-1)


def norm_outliers(tokens: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Return how far the longest patch token outshines the usual one.

    Large models trained without registers keep notes of the whole picture in a few patches, whose
    tokens become many times as long.

    Args:
        tokens: `(B, N, D)`, a block's output.
        layout: of the self-attention stage.

    Returns:
        `(B,)`, the largest length over the median one.

    Raises:
        InputError: if the tokens do not fit the layout, or have no length.

    Source: Darcet et al., ICLR 2024, section 2 (https://arxiv.org/abs/2309.16588).
    """
    lengths = token_norms(tokens, layout).reshape(len(tokens), -1)
    usual = np.median(lengths, axis=1)
    if not (np.isfinite(lengths).all() and usual.all()):
        raise InputError(
            "Tokens of a block are finite and have a length. "
            f"Received: lengths from {lengths.min():.3g} to {lengths.max():.3g}."
        )
    return lengths.max(axis=1) / usual
