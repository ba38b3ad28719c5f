"""Pictures of what a model holds: tokens, embeddings, filters, and how alike two layers are."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import BlockKey, TokenLayout
from kerasvit.saliency.backends import run, to_numpy
from kerasvit.saliency.request import make_request
from kerasvit.saliency.scores import select_block

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


def block_outputs(
    model: "ScoreModel",
    pixels: np.ndarray,
    layers: Sequence[int | str] = ("last",),
    stage: str = "sa",
    batch_size: int = 8,
) -> dict[str, np.ndarray]:
    """Return the tokens that blocks give out.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        layers: blocks, see `select_block`.
        stage: `"sa"`, `(B, N, D)` with the prefix tokens first, of XCiT's first blocks too;
            `"ca"`, `(B, 1, D)`, or of XCiT `(B, 1 + P, D)`.
        batch_size: how many images run at once.

    Returns:
        By the name of the block, in order of depth.

    Raises:
        InputError: if the pixels are no batch of images.
        UsageError: if there is no such block or stage.
    """
    is_channels = model.attends_to_channels and stage == "sa"
    wanted_stage = None if is_channels else stage
    request = make_request(model, pixels, stage=wanted_stage, batch_size=batch_size)
    names = [block.name for block in model.blocks] if is_channels else request.keys()
    # By number: what such a block gives out are tokens, whatever it attends among.
    by_key = {str(BlockKey(stage, key.depth, key.kind)): key for key in map(BlockKey.parse, names)}
    blocks = sorted({by_key[select_block(by_key, layer)] for layer in layers})
    view, places = request.view("none"), tuple(block.place("output") for block in blocks)
    parts = [
        run(view, _read, {"pixels": request.pixels[chosen]}, (places,))
        for chosen in request.batches()
    ]
    return {
        block.block: np.concatenate([part[place] for part in parts]).astype(np.float32)
        for block, place in zip(blocks, places, strict=True)
    }


def _read(
    model: "ScoreModel", tensors: Mapping[str, Any], places: tuple[str, ...]
) -> dict[str, Any]:
    return model.call_with_taps(tensors["pixels"], dict.fromkeys(places))[1]


def token_norms(tokens: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Return the length of each patch's token: large ones mark the artefacts that registers cure.

    Args:
        tokens: `(B, N, D)`, a block's output.
        layout: of the self-attention stage.

    Returns:
        `(B, rows, columns)`.

    Raises:
        InputError: if the tokens do not fit the layout.

    Source: Darcet et al., ICLR 2024, figure 3 (https://arxiv.org/abs/2309.16588).
    """
    layout.check(tokens.shape[1])
    norms = np.linalg.norm(tokens[:, layout.num_prefix :], axis=-1)
    return norms.reshape(len(tokens), *layout.grid)


def pca_to_rgb(
    tokens: np.ndarray, layout: TokenLayout, percentiles: tuple[float, float] = (1.0, 99.0)
) -> np.ndarray:
    """Return the first three principal components of the patches' tokens as colours.

    The components are those of all the pictures together, so that equal colours mean the same. The
    sign of each is such that its largest loading is positive.

    Args:
        tokens: `(B, N, D)`.
        layout: of the self-attention stage.
        percentiles: of a component, over all pictures, that become 0 and 1; the rest is clipped.

    Returns:
        `(B, rows, columns, 3)` in [0, 1]; a component without any variance is 0.

    Raises:
        InputError: if the tokens do not fit the layout, or are too few or too narrow.

    Source: Oquab et al. 2023, figure 1 (https://arxiv.org/abs/2304.07193).
    """
    layout.check(tokens.shape[1])
    patches = tokens[:, layout.num_prefix :].astype(np.float64)
    flat = patches.reshape(-1, patches.shape[-1])
    projected = flat @ principal_components(flat, 3).T
    low, high = np.percentile(projected - projected.mean(axis=0), percentiles, axis=0)
    shifted = projected - projected.mean(axis=0) - low
    width = high - low
    scaled = np.divide(shifted, width, out=np.zeros_like(shifted), where=width > 1e-9)
    return np.clip(scaled, 0, 1).reshape(len(tokens), *layout.grid, 3)


def principal_components(rows: np.ndarray, count: int) -> np.ndarray:
    """Return the first principal components of rows, `(count, D)`, largest loading positive.

    Raises:
        InputError: if there are fewer rows or columns than components.
    """
    if min(rows.shape) < count:
        raise InputError(
            f"There must be at least {count} tokens and channels for {count} principal components."
            f" Received: {rows.shape[0]} tokens of {rows.shape[1]} channels."
        )
    centred = rows - rows.mean(axis=0)
    components = _leading(centred, count)
    largest = np.abs(components).argmax(axis=1)
    return components * np.sign(components[np.arange(count), largest])[:, None]


def _leading(centred: np.ndarray, count: int) -> np.ndarray:
    """Return the directions of the largest variance, of a small matrix or of a tall one."""
    height, width = centred.shape
    if height <= 2 * width:
        return np.linalg.svd(centred, full_matrices=False)[2][:count]
    # Many times as fast for the tokens of many pictures; the largest ones are as exact.
    return np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :count].T


def position_similarity(model: "ScoreModel") -> np.ndarray:
    """Return how alike the position embeddings of the patches are.

    Args:
        model: a kerasvit model.

    Returns:
        `(rows, columns, rows, columns)`: at `[r, c]` the map of the cosine of patch (r, c)'s
        embedding with every other.

    Raises:
        UsageError: if the model has no learned positions.

    Source: Dosovitskiy et al. 2021, figure 7 middle (https://arxiv.org/abs/2010.11929).
    """
    if not model.has_position_table:
        raise UsageError(
            "Learned positions are compared, and this model has none. "
            f"Received: {model.name!r}. Choose another probe."
        )
    position = model.position
    patches = to_numpy(position.embedding.value)[0, position.num_prefix :].astype(np.float64)
    unit = patches / np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), 1e-12)
    return (unit @ unit.T).reshape(*position.grid, *position.grid)


def patch_filters(model: "ScoreModel", count: int = 28) -> np.ndarray:
    """Return the first principal components of the filters that embed the patches.

    Args:
        model: a kerasvit model.
        count: how many.

    Returns:
        `(count, height, width, 3)`, signed, each of length 1.

    Raises:
        InputError: if there are not so many filters.
        UsageError: if `count` is below 1.

    Source: Dosovitskiy et al. 2021, figure 7 left (https://arxiv.org/abs/2010.11929).
    """
    if count < 1:
        raise UsageError(f"There must be at least one filter. Received: count={count!r}.")
    if not hasattr(model.patch_embedding, "projection"):
        raise UsageError(
            "The filters that embed patches are those of one layer, and this model's patches are "
            f"embedded by several. Received: {type(model).__name__}. Choose another probe"
        )
    kernel = to_numpy(model.patch_embedding.projection.kernel.value).astype(np.float64)
    filters = kernel.reshape(-1, kernel.shape[-1]).T
    return principal_components(filters, count).reshape(count, *kernel.shape[:3])


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Return how alike two layers' features are, whatever their width, rotation and scale.

    Args:
        first: `(n, D)`, one row for each input, for instance the class tokens of n pictures.
        second: `(n, E)`, of the same inputs.

    Returns:
        Centred kernel alignment in [0, 1]; 0 where one of them does not vary.

    Raises:
        InputError: if the numbers of rows differ.

    Source: Kornblith et al., ICML 2019, section 3 (https://arxiv.org/abs/1905.00414).
    """
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise InputError(
            "Two layers are compared on the same inputs, one row each. "
            f"Received: shapes {first.shape} and {second.shape}."
        )
    wide = (rows.astype(np.float64) for rows in (first, second))
    one, other = (rows - rows.mean(axis=0) for rows in wide)
    # The smaller of the two ways to write the same numbers.
    if len(one) < one.shape[1] + other.shape[1]:
        one, other = one @ one.T, other @ other.T
        shared, norms = (one * other).sum(), np.linalg.norm(one) * np.linalg.norm(other)
    else:
        shared = np.linalg.norm(one.T @ other) ** 2
        norms = np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other)
    return float(shared / norms) if norms > 0 else 0.0
