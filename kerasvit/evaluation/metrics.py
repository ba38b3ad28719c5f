"""The metrics by name: what each measures on a method's maps, picture by picture."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasvit.errors import InputError
from kerasvit.evaluation.curves import Curve, insertion_deletion, perturbation_curves
from kerasvit.evaluation.infidelity import Hidden, hide_patches, infidelity
from kerasvit.evaluation.mosaics import make_mosaics, shares_in_cell
from kerasvit.evaluation.randomisation import randomisation
from kerasvit.evaluation.statistics import Bootstrap, Sample
from kerasvit.saliency import explain
from kerasvit.saliency.methods.baselines import Baseline
from kerasvit.saliency.targets import Objective, Target

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

_CHECKED = 4


class Measured(NamedTuple):
    """What a metric found for a method.

    Args:
        values: what the report says of it.
        samples: by figure what each picture adds to it.
    """

    values: dict[str, Any]
    samples: dict[str, Sample]


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
        bootstrap: the resamples of the pictures.
    """

    model: "ScoreModel"
    pixels: np.ndarray
    objective: Objective
    baseline: Baseline
    seed: int
    batch_size: int
    mosaics: int
    steps: int
    bootstrap: Bootstrap

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


def _perturbation(run: Evaluation, maps, method, options) -> Measured:
    curves = perturbation_curves(
        run.model, run.pixels, maps, run.objective, run.baseline, batch_size=run.batch_size
    )
    return _summary(run, curves)


def _insertion_deletion(run: Evaluation, maps, method, options) -> Measured:
    fractions = np.linspace(0, 1, run.steps + 1).round(4).tolist()
    batch_size = run.batch_size
    curves = insertion_deletion(
        run.model, run.pixels, maps, run.objective, fractions, batch_size=batch_size
    )
    return _summary(run, curves)


def _summary(run: Evaluation, curves: Mapping[str, Curve]) -> Measured:
    areas = {name: curve.areas for name, curve in curves.items()}
    values: dict[str, Any] = {name: float(area.mean()) for name, area in areas.items()}
    values["fractions"] = next(iter(curves.values())).fractions.tolist()
    values["curves"] = {name: curve.mean.round(5).tolist() for name, curve in curves.items()}
    values["bands"] = {name: run.bootstrap.band(curve.values) for name, curve in curves.items()}
    return Measured(values, {name: Sample.of(area) for name, area in areas.items()})


def _grid_pointing(run: Evaluation, maps, method, options) -> Measured:
    # Without classes each picture shows something of its own: its feature.
    shown = run.objective.classes or range(len(run.pixels))
    try:
        found = make_mosaics(run.pixels, shown, run.mosaics, seed=run.seed)
    except InputError as error:
        return Measured({"skipped": str(error)}, {})
    shares, hits = [], []
    for cell in range(found.members.shape[1]):
        target = run.target_of(found.members[:, cell])
        values = run.explain_other(run.model, found.pixels, target, method, options)
        cells = [cell] * len(values)
        shares.append(shares_in_cell(values, cells, found.side))
        peak = values == values.max(axis=(1, 2), keepdims=True)
        hits.append(shares_in_cell(peak, cells, found.side))
    figures = {"share": np.mean(shares, axis=0), "pointing": np.mean(hits, axis=0)}
    return Measured(
        {name: float(figure.mean()) for name, figure in figures.items()}
        | {"mosaics": len(found.members)},
        {name: Sample.of(figure) for name, figure in figures.items()},
    )


def _infidelity(run: Evaluation, maps, method, options) -> Measured:
    found = infidelity(maps, run.hidden)
    return Measured({"mean": float(found.mean())}, {"mean": Sample.of(found)})


def _randomisation(run: Evaluation, maps, method, options) -> Measured:
    pixels, target = run.first(_CHECKED)

    def make_maps(model):
        return run.explain_other(model, pixels, target, method, options)

    stages = randomisation(run.model, make_maps, run.seed)
    correlations = {name: float(values.mean()) for name, values in stages.items()}
    return Measured(
        {"rank_correlation": correlations, "pictures": len(pixels)},
        {f"rank_correlation {name}": Sample.of(values) for name, values in stages.items()},
    )


METRICS: dict[str, Callable[..., Measured]] = {
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
