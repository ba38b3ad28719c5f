"""Methods against metrics: one table of how good each method's maps are for a model."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.evaluation.curves import STEPS
from kerasvit.evaluation.metrics import METRICS, PROTOCOLS, Evaluation
from kerasvit.evaluation.statistics import CONFIDENCE, PROTOCOL, Bootstrap, Sample, summarise
from kerasvit.saliency import METHODS
from kerasvit.saliency.methods.baselines import Baseline
from kerasvit.saliency.request import make_request, model_outputs
from kerasvit.saliency.targets import Target, make_objective

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

__all__ = ["METRICS", "PROTOCOLS", "evaluate_saliency"]


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
    reference: str | None = None,
    report: Callable[[str], None] | None = None,
    advance: Callable[[], None] = lambda: None,
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
        reference: the method that the others are compared with; None for the first.
        report: called with a line for each step.
        advance: called after each step, of which a method has one and one more for each metric.

    Returns:
        A dict that JSON can hold: `n`, `seed`, `baseline`, `protocols` by metric, by method
        `seconds_per_picture` and the values of each metric, and `statistics`: by metric, method and
        figure `n`, `mean`, `standard_error`, the 95 % `interval`, and the paired `difference` to
        the `reference`; how, `bootstrap` says. A metric for which the pictures do not
        suffice says why under `skipped`.

    Raises:
        InputError: as `explain`, or if the pictures are too few for a metric.
        UsageError: if a method or metric is unknown.
    """
    check_methods(methods)
    check_names("metric", metrics, METRICS)
    reference = check_reference(reference, methods)
    request = make_request(model, pixels, batch_size=batch_size, target=target)
    view = request.view("none")
    objective = make_objective(model, model_outputs(view, request.pixels, batch_size), target)
    shared = (baseline, seed, batch_size, mosaics, steps, Bootstrap(seed))
    run = Evaluation(view, request.pixels, objective, *shared)
    steps_of = functools.partial(_Steps, report or (lambda line: None), advance)
    found, samples = _evaluate(run, methods, options or {}, metrics, steps_of)
    by_metric = {name: summarise(one, reference, run.bootstrap) for name, one in samples.items()}
    return {
        "n": len(pixels),
        "seed": seed,
        "baseline": baseline if isinstance(baseline, str | int | float) else "array",
        "protocols": {metric: PROTOCOLS[metric] for metric in metrics},
        **confidence_facts(reference, run.bootstrap),
        "statistics": by_metric,
        "methods": found,
    }


def confidence_facts(reference: str, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return what a report says of its statistics."""
    facts = {"protocol": PROTOCOL, "confidence": CONFIDENCE, "resamples": bootstrap.resamples}
    return {"reference": reference, "bootstrap": facts}


class _Steps:
    """Says which step of a method begins, and counts those that are done."""

    def __init__(
        self, report: Callable[[str], None], advance: Callable[[], None], method: str
    ) -> None:
        self.report, self.advance, self.prefix = report, advance, f"{method}: "

    def begin(self, name: str) -> None:
        """Name the step that begins."""
        self.report(self.prefix + name)


def _evaluate(
    run: Evaluation,
    methods: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    metrics: Sequence[str],
    steps_of: Callable[[str], _Steps],
) -> tuple[dict[str, Any], dict[str, dict[str, dict[str, Sample]]]]:
    """Return what the report says of each method, and the samples by metric and method."""
    found: dict[str, Any] = {}
    samples: dict[str, dict[str, dict[str, Sample]]] = {metric: {} for metric in metrics}
    for method in methods:
        own_options = dict(options.get(method, {}))
        found[method], own = _evaluate_method(run, method, own_options, metrics, steps_of(method))
        for metric, figures in own.items():
            samples[metric][method] = figures
    return found, samples


def _evaluate_method(
    run: Evaluation, method: str, options: dict[str, Any], metrics: Sequence[str], steps: _Steps
) -> tuple[dict[str, Any], dict[str, dict[str, Sample]]]:
    """Return what the report says of a method, and the samples of each metric."""
    steps.begin("maps")
    # Once before, so that no compilation is timed.
    run.maps(method, options, 1)
    started = time.perf_counter()
    maps = run.maps(method, options)
    seconds = (time.perf_counter() - started) / len(maps)
    steps.advance()
    found: dict[str, Any] = {"options": options, "seconds_per_picture": round(seconds, 5)}
    samples = {}
    for metric in metrics:
        steps.begin(metric)
        found[metric], samples[metric] = METRICS[metric](run, maps, method, options)
        steps.advance()
    return found, samples


def check_reference(reference: str | None, methods: Sequence[str]) -> str:
    """Return the method that the others are compared with.

    Raises:
        UsageError: if it is not among them.
    """
    if reference is None:
        return methods[0]
    if reference not in methods:
        raise UsageError(
            "The reference is one of the methods. "
            f"Received: {reference!r} with {', '.join(methods)}. Add it, or name another."
        )
    return reference


def check_methods(methods: Sequence[str]) -> None:
    """Raise `UsageError` unless all methods are known and run on this backend."""
    check_names("method", methods, METHODS)
    for name in methods:
        METHODS[name].check_backend()


def check_names(kind: str, names: Sequence[str], known: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless there is at least one name and all are known."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"There is no such {kind}. Received: {', '.join(map(repr, unknown)) or 'none'}. "
            f"Choose among {', '.join(map(repr, known))}."
        )
