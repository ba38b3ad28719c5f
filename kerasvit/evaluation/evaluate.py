"""Methods against metrics: one table of how good each method's maps are for a model."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.evaluation.curves import STEPS, insertion_deletion, perturbation_curves
from kerasvit.evaluation.infidelity import Hidden, hide_patches, infidelity
from kerasvit.evaluation.mosaics import make_mosaics, shares_in_cell
from kerasvit.evaluation.randomisation import randomisation
from kerasvit.saliency import METHODS, explain
from kerasvit.saliency.methods.baselines import Baseline
from kerasvit.saliency.request import make_request, model_outputs
from kerasvit.saliency.targets import Objective, Target, make_objective

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

_CHECKED = 4


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What the metrics of one run share.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        objective: what each picture's map explains.
        baseline: what takes the place of pixels in the perturbation, see `make_baseline`.
        seed: of everything random.
        batch_size: how many pictures run at once.
        mosaics: how many.
        steps: of insertion and deletion.
    """

    model: "ScoreModel"
    pixels: np.ndarray
    objective: Objective
    baseline: Baseline
    seed: int
    batch_size: int
    mosaics: int
    steps: int

    def target_of(self, numbers: Sequence[int] | np.ndarray) -> Target:
        """Return what some of the pictures show, as `explain` takes it: classes or features."""
        if self.objective.classes is None:
            return self.objective.weights[numbers]
        return [self.objective.classes[number] for number in numbers]

    def first(self, count: int) -> tuple[np.ndarray, Target]:
        """Return the first pictures and their targets."""
        return self.pixels[:count], self.target_of(range(len(self.pixels))[:count])

    @functools.cached_property
    def hidden(self) -> Hidden:
        """What hiding sets of patches changes, which no method alters."""
        grid = self.model.token_layout(self.pixels.shape[1:3]).grid
        arguments = {"seed": self.seed, "batch_size": self.batch_size}
        return hide_patches(self.model, self.pixels, grid, self.objective, **arguments)

    def maps(self, method: str, options: Mapping[str, Any], count: int | None = None) -> np.ndarray:
        """Return a method's maps of the first pictures, or of all."""
        pixels, target = self.first(len(self.pixels) if count is None else count)
        return self.explain_other(self.model, pixels, target, method, options)

    def explain_other(
        self,
        model: "ScoreModel",
        pixels: np.ndarray,
        target: Target,
        method: str,
        options: Mapping[str, Any],
    ) -> np.ndarray:
        """Return a method's maps of other pictures, classes, or another model."""
        settings = {"target": target, "batch_size": self.batch_size, **options}
        return explain(model, pixels, method, **settings).values


def _perturbation(run: Evaluation, maps, method, options) -> dict[str, Any]:
    curves = perturbation_curves(
        run.model, run.pixels, maps, run.objective, run.baseline, batch_size=run.batch_size
    )
    return _summary(curves)


def _insertion_deletion(run: Evaluation, maps, method, options) -> dict[str, Any]:
    fractions = np.linspace(0, 1, run.steps + 1).round(4).tolist()
    batch_size = run.batch_size
    curves = insertion_deletion(
        run.model, run.pixels, maps, run.objective, fractions, batch_size=batch_size
    )
    return _summary(curves)


def _summary(curves) -> dict[str, Any]:
    areas = {name: float(curve.areas.mean()) for name, curve in curves.items()}
    points = {name: curve.mean.round(5).tolist() for name, curve in curves.items()}
    fractions = next(iter(curves.values())).fractions.tolist()
    return {**areas, "fractions": fractions, "curves": points}


def _grid_pointing(run: Evaluation, maps, method, options) -> dict[str, Any]:
    # Without classes each picture shows something of its own: its feature.
    shown = run.objective.classes or range(len(run.pixels))
    try:
        found = make_mosaics(run.pixels, shown, run.mosaics, seed=run.seed)
    except InputError as error:
        return {"skipped": str(error)}
    shares, hits = [], []
    for cell in range(found.members.shape[1]):
        target = run.target_of(found.members[:, cell])
        values = run.explain_other(run.model, found.pixels, target, method, options)
        cells = [cell] * len(values)
        shares.append(shares_in_cell(values, cells, found.side))
        peak = values == values.max(axis=(1, 2), keepdims=True)
        hits.append(shares_in_cell(peak, cells, found.side))
    return {
        "share": float(np.mean(shares)),
        "pointing": float(np.mean(hits)),
        "mosaics": len(found.members),
    }


def _infidelity(run: Evaluation, maps, method, options) -> dict[str, Any]:
    return {"mean": float(infidelity(maps, run.hidden).mean())}


def _randomisation(run: Evaluation, maps, method, options) -> dict[str, Any]:
    pixels, target = run.first(_CHECKED)

    def make_maps(model):
        return run.explain_other(model, pixels, target, method, options)

    stages = randomisation(run.model, make_maps, run.seed)
    correlations = {name: float(values.mean()) for name, values in stages.items()}
    return {"rank_correlation": correlations, "pictures": len(pixels)}


METRICS: dict[str, Callable[..., dict[str, Any]]] = {
    "perturbation": _perturbation,
    "insertion_deletion": _insertion_deletion,
    "grid_pointing": _grid_pointing,
    "infidelity": _infidelity,
    "randomisation": _randomisation,
}

PROTOCOLS = {
    "perturbation": "Chefer et al. 2021: 10 to 90 % of the pixels replaced in 9 steps; area under "
    "the share of pictures still called the same (positive: most relevant first, low is good; "
    "negative: least relevant first, high is good), and the same of the probability",
    "insertion_deletion": "Petsiuk et al. 2018: area under the probability; insertion into a "
    "blurred picture (high is good), deletion to the mean colour (low is good)",
    "grid_pointing": "after Böhle et al. 2021: mosaics of 2x2 pictures that the model calls "
    "differently (without classes: any), each at half its size, explained for each one's class or "
    "feature; share of the positive values in its cell, and of the highest values (chance: 0.25)",
    "infidelity": "after Yeh et al. 2019: unexplained share of the change of the logit when 30 % "
    "of the patches are hidden, 50 sets, best scaling (0 is perfect, 1 says nothing)",
    "randomisation": "Adebayo et al. 2018: Spearman's correlation with the map of the model whose "
    "weights are shuffled from the head down (low is good)",
}


def evaluate_saliency(
    model: "ScoreModel",
    pixels: np.ndarray,
    methods: Sequence[str],
    metrics: Sequence[str] = ("perturbation", "insertion_deletion", "grid_pointing"),
    *,
    target: Target = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    baseline: Baseline = "mean",
    seed: int = 0,
    batch_size: int = 8,
    mosaics: int = 32,
    steps: int = len(STEPS) - 1,
    report: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure how good methods are on some pictures.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed.
        methods: of `kerasvit.saliency.METHODS`.
        metrics: of `METRICS`; what each does is in `PROTOCOLS`.
        target: what is explained and watched, see `make_objective`; by default the class that the
            model gives first. A model without classes is watched by its feature: probabilities are
            then the feature's cosine with what it was.
        options: a method's options for `explain`, by method.
        baseline: what takes the place of pixels in the perturbation. The paper takes `"black"`.
        seed: of everything random.
        batch_size: how many pictures run at once.
        mosaics: how many, for `"grid_pointing"`.
        steps: of `"insertion_deletion"`.
        report: called with a line for each step.

    Returns:
        A dict that JSON can hold: `n`, `seed`, `baseline`, `protocols` by metric, and by method
        `seconds_per_picture` and the values of each metric.

    Raises:
        InputError: as `explain`, or if the pictures are too few for a metric.
        UsageError: if a method or metric is unknown.
    """
    check_names("method", methods, METHODS)
    check_names("metric", metrics, METRICS)
    for name in methods:
        METHODS[name].check_backend()
    request = make_request(model, pixels, batch_size=batch_size, target=target)
    view = request.view("none")
    objective = make_objective(model, model_outputs(view, request.pixels, batch_size), target)
    run = Evaluation(view, request.pixels, objective, baseline, seed, batch_size, mosaics, steps)
    found = {}
    for method in methods:
        chosen = dict((options or {}).get(method, {}))
        found[method] = _evaluate_method(
            run, method, chosen, metrics, report or (lambda line: None)
        )
    return {
        "n": len(pixels),
        "seed": seed,
        "baseline": baseline if isinstance(baseline, str | int | float) else "array",
        "protocols": {metric: PROTOCOLS[metric] for metric in metrics},
        "methods": found,
    }


def _evaluate_method(run, method, options, metrics, report) -> dict[str, Any]:
    report(f"{method}: maps")
    # Once before, so that no compilation is timed.
    run.maps(method, options, 1)
    started = time.perf_counter()
    maps = run.maps(method, options)
    seconds = (time.perf_counter() - started) / len(maps)
    found: dict[str, Any] = {"options": options, "seconds_per_picture": round(seconds, 5)}
    for metric in metrics:
        report(f"{method}: {metric}")
        found[metric] = METRICS[metric](run, maps, method, options)
    return found


def check_names(kind: str, names: Sequence[str], known: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless there is at least one name and all are known."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"There is no such {kind}. Received: {', '.join(map(repr, unknown)) or 'none'}. "
            f"Choose among {', '.join(map(repr, known))}."
        )
