"""Methods by the gradient of the input: integrated gradients and SmoothGrad."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.saliency.gradients import input_gradients
from kerasvit.saliency.methods.baselines import Baseline, make_baseline
from kerasvit.saliency.methods.by_target import explain_target, read_query
from kerasvit.saliency.options import MethodOptions, option
from kerasvit.saliency.request import Request
from kerasvit.saliency.result import SaliencyMap

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel


@dataclasses.dataclass(frozen=True)
class IntegratedOptions(MethodOptions):
    """The options of integrated gradients."""

    steps: int = option(32, "points on the way from the baseline", lowest=1)
    baseline: Baseline = option("mean", "where the way starts: mean, black, blur, a number")


@dataclasses.dataclass(frozen=True)
class SmoothOptions(MethodOptions):
    """The options of SmoothGrad."""

    samples: int = option(16, "noisy copies of the picture", lowest=1)
    noise: float = option(0.15, "their noise, a share of the picture's range of values", lowest=0)
    seed: int = option(0, "of the noise", lowest=0)
    times_input: bool = option(False, "the gradient times the picture, where that is positive")


def patch_sums(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Sum values of pixels over the channels and over each patch.

    Args:
        values: `(B, h, w, C)`, h and w multiples of the grid's.
        grid: `(rows, columns)` of the patches.

    Returns:
        `(B, rows, columns)`.
    """
    rows, columns = grid
    batch, height, width, _ = values.shape
    cells = values.reshape(batch, rows, height // rows, columns, width // columns, -1)
    return cells.sum(axis=(2, 4, 5))


def integrated_gradients(
    model: "ScoreModel",
    pixels: np.ndarray,
    weights: np.ndarray,
    baseline: np.ndarray,
    steps: int = IntegratedOptions.steps,
) -> np.ndarray:
    """Return how much each value of the input adds to the objective on the way from a baseline.

    `(x - x') * mean over k of ds/dx` at `x' + (k + 1/2) / K (x - x')`: the midpoint rule. The sum
    over a picture is `s(x) - s(x')`, up to the error of K steps.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        weights: `(B, K)`, see `Objective`.
        baseline: shaped as the pixels.
        steps: at least 1.

    Returns:
        `(B, h, w, 3)`, signed.

    Source: Sundararajan, Taly and Yan, ICML 2017, equation 3 (https://arxiv.org/abs/1703.01365).
    """
    way = pixels - baseline
    total = np.zeros_like(way)
    for step in range(steps):
        point = baseline + np.float32((step + 0.5) / steps) * way
        total += input_gradients(model, point, weights)[1]
    return way * total / steps


def smooth_gradients(
    model: "ScoreModel",
    pixels: np.ndarray,
    weights: np.ndarray,
    samples: int = SmoothOptions.samples,
    noise: float = SmoothOptions.noise,
    seed: int = SmoothOptions.seed,
) -> np.ndarray:
    """Return the mean gradient over noisy copies of the input.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        weights: `(B, K)`, see `Objective`.
        samples: number of copies, at least 1.
        noise: its standard deviation as a share of each picture's range of values.
        seed: of the noise. Every picture gets the same, so that a batch does not matter.

    Returns:
        `(B, h, w, 3)`, signed.

    Source: Smilkov et al. 2017, section 3 (https://arxiv.org/abs/1706.03825).
    """
    spread = np.ptp(pixels, axis=(1, 2, 3), keepdims=True) * np.float32(noise)
    generator = np.random.default_rng(seed)
    total = np.zeros_like(pixels, np.float32)
    for _ in range(samples):
        grain = generator.standard_normal(pixels.shape[1:], np.float32)
        total += input_gradients(model, pixels + spread * grain, weights)[1]
    return total / samples


def explain_integrated_gradients(request: Request, options: IntegratedOptions) -> SaliencyMap:
    """Make the maps of `method="integrated_gradients"`, signed: the sum over each patch."""
    grid = request.layout("sa").grid

    def compute(view, pixels, objective):
        start = make_baseline(request.model, pixels, options.baseline)
        values = integrated_gradients(view, pixels, objective.weights, start, options.steps)
        return patch_sums(values, grid)

    return explain_target(
        request,
        compute,
        method="integrated_gradients",
        query=read_query(request),
        settings={"steps": options.steps, "baseline": named(options.baseline)},
    )


def explain_smooth_gradients(request: Request, options: SmoothOptions) -> SaliencyMap:
    """Make the maps of `method="smoothgrad"`: the sum over each patch of the absolute gradient.

    With `times_input`, instead of its absolute value, it is the gradient times the picture's
    difference from the mean colour, summed over each patch, where that is positive. It tells
    classes apart better, above all with more `noise`.
    """
    settings = options.to_dict()
    arguments = {name: settings[name] for name in ("samples", "noise", "seed")}
    grid = request.layout("sa").grid

    def compute(view, pixels, objective):
        gradients = smooth_gradients(view, pixels, objective.weights, **arguments)
        if options.times_input:
            return np.maximum(patch_sums(gradients * pixels, grid), 0)
        return patch_sums(np.abs(gradients), grid)

    return explain_target(
        request, compute, method="smoothgrad", query=read_query(request), settings=settings
    )


def named(baseline: Any) -> str | float:
    """Return what a baseline is called in the settings of a map."""
    return baseline if isinstance(baseline, str | int | float) else "array"
