"""Methods that hide parts of the picture and watch the output: occlusion and RISE."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from kerasvit.images.resampling import sample_grid
from kerasvit.saliency.methods.baselines import Baseline, make_baseline
from kerasvit.saliency.methods.by_target import explain_target, read_query
from kerasvit.saliency.methods.integrated import named, patch_sums
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.request import Request, model_outputs
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.targets import Objective

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


@dataclasses.dataclass(frozen=True)
class OcclusionOptions(MethodOptions):
    """The options of occlusion."""

    baseline: Baseline = option("mean", "what a hidden patch becomes: mean, black, blur, a number")


@dataclasses.dataclass(frozen=True)
class RiseOptions(MethodOptions):
    """The options of RISE."""

    masks: int = option(500, "how many random masks", lowest=1)
    cells: int = option(7, "cells along the shorter side of a mask", lowest=1)
    kept: float = option(0.5, "the probability of a cell to stay", between=(0, 1))
    seed: int = option(0, "of the masks", lowest=0)
    baseline: Baseline = option("mean", "what is hidden becomes: mean, black, blur, a number")


def occlusion(
    model: "ScoreModel",
    pixels: np.ndarray,
    objective: Objective,
    baseline: np.ndarray,
    grid: tuple[int, int],
    batch_size: int = 8,
) -> np.ndarray:
    """Return by how much the objective falls when each patch alone is replaced by the baseline.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        objective: what is watched, for each image.
        baseline: shaped as the pixels.
        grid: `(rows, columns)` of the patches.
        batch_size: how many pictures run at once.

    Returns:
        `(B, rows, columns)`, signed: positive where the patch speaks for the class.

    Source: Zeiler and Fergus, ECCV 2014, section 4.2 (https://arxiv.org/abs/1311.2901).
    """
    patches = grid[0] * grid[1]
    masks = (1 - np.eye(patches, dtype=np.float32)).reshape(patches, *grid)
    whole = objective.of(model_outputs(model, pixels, batch_size))
    hidden = _scores(model, pixels, baseline, masks, objective, Objective.of, batch_size)
    return whole[:, None, None] - hidden.reshape(-1, *grid)


def rise(
    model: "ScoreModel",
    pixels: np.ndarray,
    objective: Objective,
    baseline: np.ndarray,
    grid: tuple[int, int],
    *,
    masks: int = RiseOptions.masks,
    cells: int = RiseOptions.cells,
    kept: float = RiseOptions.kept,
    seed: int = RiseOptions.seed,
    batch_size: int = 8,
) -> np.ndarray:
    """Return the mean probability of the class while each patch was visible, over random masks.

    `E[s(x M + x' (1 - M)) M] / E[M]`, with the mean of the mask over each patch.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        objective: what is watched, for each image.
        baseline: shaped as the pixels.
        grid: `(rows, columns)` of the patches.
        masks: how many, at least 1.
        cells: along the shorter side of a mask, before it is enlarged.
        kept: the probability of a cell to stay, in (0, 1).
        seed: of the masks. Every picture gets the same, so that a batch does not matter.
        batch_size: how many pictures run at once.

    Returns:
        `(B, rows, columns)`.

    Source: Petsiuk, Das and Saenko, BMVC 2018, equation 6 (https://arxiv.org/abs/1806.07421).
    """
    size = pixels.shape[1:3]
    drawn = np.stack(list(random_masks(size, masks, cells, kept, seed)))
    on_patches = patch_sums(drawn[..., None], grid) * grid[0] * grid[1] / (size[0] * size[1])
    seen = np.maximum(on_patches.sum(axis=0), 1e-6)
    scores = _scores(model, pixels, baseline, drawn, objective, Objective.probability, batch_size)
    return np.tensordot(scores, on_patches, 1) / seen


def random_masks(
    size: tuple[int, int], count: int, cells: int, kept: float, seed: int
) -> Iterator[np.ndarray]:
    """Yield smooth random masks: a coarse random grid, enlarged and shifted by part of a cell.

    Args:
        size: `(height, width)` in pixels.
        count: how many.
        cells: along the shorter side.
        kept: the probability of a cell to be 1.
        seed: of the random numbers.

    Yields:
        float32 `(height, width)` in [0, 1].
    """
    generator = np.random.default_rng(seed)
    step = min(size) / cells
    rows, columns = (int(np.ceil(side / step)) + 1 for side in size)
    for _ in range(count):
        coarse = (generator.random((rows, columns)) < kept).astype(np.float32)
        shift = generator.random(2)
        down, across = ((np.arange(size[axis]) + 0.5) / step + shift[axis] for axis in (0, 1))
        yield sample_grid(coarse, down, across, (1 / step, 1 / step), "bilinear")


def _scores(
    model: "ScoreModel",
    pixels: np.ndarray,
    baseline: np.ndarray,
    masks: np.ndarray,
    objective: Objective,
    score: Callable[[Objective, np.ndarray], np.ndarray],
    batch_size: int,
) -> np.ndarray:
    """Return the score of each picture under each of the masks, of pixels or patches: `(B, M)`."""
    rows, columns = (
        side // cells for side, cells in zip(pixels.shape[1:3], masks.shape[1:], strict=True)
    )
    scores = np.empty((len(pixels), len(masks)), np.float32)
    for index, (picture, ground) in enumerate(zip(pixels, baseline, strict=True)):
        own = objective.select(slice(index, index + 1))
        for start in range(0, len(masks), batch_size):
            chosen = slice(start, start + batch_size)
            fine = masks[chosen].repeat(rows, axis=1).repeat(columns, axis=2)[..., None]
            outputs = model_outputs(model, fine * picture + (1 - fine) * ground, batch_size)
            scores[index, chosen] = score(own, outputs)
    return scores


def explain_occlusion(request: Request, options: OcclusionOptions) -> SaliencyMap:
    """Make the maps of `method="occlusion"`."""
    grid = request.layout("sa").grid

    def compute(view, pixels, objective):
        ground = make_baseline(request.model, pixels, options.baseline)
        return occlusion(view, pixels, objective, ground, grid, request.batch_size)

    return explain_target(
        request,
        compute,
        method="occlusion",
        query=read_query(request),
        settings={"baseline": named(options.baseline)},
    )


def explain_rise(request: Request, options: RiseOptions) -> SaliencyMap:
    """Make the maps of `method="rise"`."""
    settings = options.to_dict()
    baseline = settings.pop("baseline")
    grid = request.layout("sa").grid

    def compute(view, pixels, objective):
        ground = make_baseline(request.model, pixels, baseline)
        return rise(
            view, pixels, objective, ground, grid, **settings, batch_size=request.batch_size
        )

    return explain_target(
        request,
        compute,
        method="rise",
        query=read_query(request),
        settings={**settings, "baseline": named(baseline)},
    )
