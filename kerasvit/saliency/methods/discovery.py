"""Masks of the main object from the keys of the last self-attention: TokenCut and LOST.

XCiT's keys are of channels: the tokens that its last such block gives out stand in their place.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.layout import BlockKey
from kerasvit.saliency.backends import run
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.request import Request
from kerasvit.saliency.result import SaliencyMap

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

_WEAK = 1e-5
OUTPUTS = ("mask", "values")
_OUTPUT = "the mask of the object, or the values that it was cut from"


@dataclasses.dataclass(frozen=True)
class TokencutOptions(MethodOptions):
    """The options of TokenCut."""

    similarity: float = option(0.2, "cosine above which patches belong together", between=(-1, 1))
    output: str = option("mask", _OUTPUT, choices=OUTPUTS)


@dataclasses.dataclass(frozen=True)
class LostOptions(MethodOptions):
    """The options of LOST."""

    seeds: int = option(100, "among so many patches the object's seeds are sought", lowest=1)
    output: str = option("mask", _OUTPUT, choices=OUTPUTS)


def tokencut(
    keys: np.ndarray, grid: tuple[int, int], similarity: float = TokencutOptions.similarity
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the patches of one picture in two by a normalised cut.

    Patches whose keys have a cosine above `similarity` are joined by an edge of weight 1, others by
    1e-5. The second smallest solution of `(D - W) y = lambda D y` splits them at its mean. The
    object is the side with the largest absolute value, and of it what hangs together with that
    patch.

    Args:
        keys: `(P, d)`.
        grid: `(rows, columns)`.
        similarity: in (-1, 1).

    Returns:
        values: `(rows, columns)`, the eigenvector, positive on the object's side.
        mask: bool `(rows, columns)`.

    Raises:
        UsageError: if SciPy is not installed.

    Source: Wang et al., CVPR 2022, section 3 (https://arxiv.org/abs/2202.11539).
    """
    scipy = import_scipy()
    unit = keys / np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-12)
    weights = np.where(unit @ unit.T > similarity, 1.0, _WEAK).astype(np.float64)
    degrees = np.diag(weights.sum(axis=1))
    _, vectors = scipy.linalg.eigh(degrees - weights, degrees, subset_by_index=[1, 1])
    values = vectors[:, 0]
    seed = int(np.abs(values).argmax())
    if values[seed] < 0:
        values = -values
    side = (values > values.mean()).reshape(grid)
    return values.reshape(grid), _piece_around(side, seed, scipy)


def lost(
    keys: np.ndarray, grid: tuple[int, int], seeds: int = LostOptions.seeds
) -> tuple[np.ndarray, np.ndarray]:
    """Grow the object of one picture from the patch that resembles the fewest others.

    Args:
        keys: `(P, d)`.
        grid: `(rows, columns)`.
        seeds: among so many patches of the lowest degree, those that resemble the first one are
            seeds too.

    Returns:
        values: `(rows, columns)`, the sum of a patch's products with the keys of all seeds.
        mask: bool `(rows, columns)`, where that is positive, as far as it hangs together with the
            first seed.

    Raises:
        UsageError: if SciPy is not installed.

    Source: Simeoni et al., BMVC 2021, section 3 (https://arxiv.org/abs/2109.14279).
    """
    scipy = import_scipy()
    products = keys.astype(np.float64) @ keys.T
    order = np.argsort((products >= 0).sum(axis=1), kind="stable")
    first = int(order[0])
    chosen = [index for index in order[:seeds] if products[first, index] >= 0]
    values = products[chosen].sum(axis=0)
    return values.reshape(grid), _piece_around((values > 0).reshape(grid), first, scipy)


def _piece_around(mask: np.ndarray, patch: int, scipy: Any) -> np.ndarray:
    """Return the part of a mask that hangs together with a patch, by sides."""
    labels, _ = scipy.ndimage.label(mask)
    label = labels.reshape(-1)[patch]
    return (labels == label) & (label > 0)


def import_scipy() -> types.ModuleType:
    """Return SciPy with its linear algebra and its image operations.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import scipy
        import scipy.linalg
        import scipy.ndimage
    except ImportError as error:
        raise UsageError(
            "TokenCut and LOST need SciPy. Received: not installed. "
            'Install it with: pip install "kerasvit[masks]"'
        ) from error
    return scipy


def last_keys(request: Request) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of the last self-attention block, `(B, P, D)`, heads side by side.

    They are those before rotary positions turn them, and as many as the block has of its own.

    Returns:
        The keys of the patches, and the model's first output `(B, K)`.
    """
    view = request.view("none")
    prefix = request.layout("sa").num_prefix
    keys, logits = [], []
    for chosen in request.batches():
        output, joint = run(view, _joint_projection, {"pixels": request.pixels[chosen]})
        if request.model.attends_to_channels:
            keys.append(joint.astype(np.float32)[:, prefix:])
        else:
            width = view.hidden_dim
            key_width = (joint.shape[-1] - width) // 2
            keys.append(joint.astype(np.float32)[:, prefix:, width : width + key_width])
        logits.append(output.astype(np.float32))
    return np.concatenate(keys), np.concatenate(logits)


def _joint_projection(model: "ScoreModel", tensors: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the first output, and the last block's queries, keys and values side by side."""
    block = model.blocks[-1]
    if model.attends_to_channels:
        place = f"{block.name}_output"
        logits, found = model.call_with_taps(tensors["pixels"], {place: None})
        return logits, found[place]
    place = f"{block.name}_tokens"
    logits, found = model.call_with_taps(tensors["pixels"], {place: None})
    return logits, block.attention.joint(found[place])


def explain_tokencut(request: Request, options: TokencutOptions) -> SaliencyMap:
    """Make the masks of `method="tokencut"`.

    `output="mask"` gives zeros and ones, `"values"` the eigenvector.
    """
    return _discover(request, "tokencut", tokencut, options.to_dict())


def explain_lost(request: Request, options: LostOptions) -> SaliencyMap:
    """Make the masks of `method="lost"`; `output` is as above."""
    return _discover(request, "lost", lost, options.to_dict())


def _discover(
    request: Request,
    method: str,
    find: Callable[..., tuple[np.ndarray, np.ndarray]],
    settings: dict[str, Any],
) -> SaliencyMap:
    import_scipy()
    layout = request.layout("sa")
    keys, logits = last_keys(request)
    arguments = {name: value for name, value in settings.items() if name != "output"}
    wanted = OUTPUTS[::-1].index(settings["output"])
    maps = [find(image, layout.grid, **arguments)[wanted] for image in keys]
    return request.result(
        np.stack(maps).astype(np.float32),
        method=method,
        layout=layout,
        stage="sa",
        layers=(str(BlockKey.parse(request.model.blocks[-1].name)),),
        settings=settings,
        logits=logits,
    )
