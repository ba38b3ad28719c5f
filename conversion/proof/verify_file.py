"""The parity report of a file that was converted before, against its source once more."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from kerasvit.conversion.architecture.fitting import left_out
from kerasvit.conversion.facts.facts import Rank, shown_value
from kerasvit.conversion.names.rules import prove
from kerasvit.conversion.planning import Plan, make_plan
from kerasvit.conversion.proof.finding import compare_with_source
from kerasvit.conversion.proof.outputs import NoReference
from kerasvit.conversion.proof.parity import Parity
from kerasvit.conversion.reporting import found_lines
from kerasvit.conversion.sources.opening import Opened, open_source
from kerasvit.errors import InputError, UsageError
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.weight_options import Options

# Facts that the user may have stated when the file was made, which its record has kept.
_STATED = (
    *("num_heads", "activation", "layer_norm_epsilon", "pooling", "position_embedding"),
    *("norm_after_pooling", "pool_prefix", "block_type", "position_resampling"),
)


def verify_file(
    path: str | os.PathLike,
    source: Any,
    *,
    head: Any = None,
    select: str | None = None,
    sha256: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Parity:
    """Compare a `.keras` file with the source that it was converted from, as its own code runs it.

    The reference is made of what the source says of itself now, never of what the file says: a
    file of a wrong network shows.

    Args:
        path: a file that kerasvit wrote.
        source: the checkpoint, as for `kerasvit.conversion.convert`.
        head: its linear head, likewise.
        select: network of a training checkpoint.
        sha256: published digest of the source, or its first digits.
        report: called with each line that says what is being done.

    Returns:
        The figures, whether they are within their bars or not: `Parity.rows` says.

    Raises:
        DownloadError: if the source is elsewhere and can't be had.
        InputError: if a file is missing, damaged or unsafe, or the two are different models.
        UsageError: if an argument is wrong, or there is nothing to compare with.
    """
    from kerasvit.pretrained import load

    model = load(path)
    opened = open_source(source, head, select=select, sha256=sha256, report=report)
    plan = _plan_of(model, opened)
    for line in found_lines(plan)[1:2]:
        report(line)
    _check_fits(model, plan)
    converted = model.record.get("source", {})
    recorded = converted.get("sha256") if isinstance(converted, Mapping) else None
    if recorded not in (None, plan.checkpoint.sha256):
        report(f"The record of {str(path)!r} names another source: {recorded}.")
    spec = _spec(model, plan, report)
    try:
        parity = compare_with_source(model, opened, plan.checkpoint, plan.facts, spec, report)
    except NoReference as error:
        raise UsageError(
            f"{plan.checkpoint.label} can't be compared with its source's own network. Received: "
            f"{error}. Install what is missing"
        ) from error
    report(f"Compared with {parity.reference}.")
    return parity


def _plan_of(model: ScoreModel, opened: Opened) -> Plan:
    """Return the plan that a conversion of the source would have now."""
    arguments = {
        name: fact["value"]
        for name, fact in _recorded(model).items()
        if name in _STATED and str(fact.get("origin", "")).startswith("--")
    }
    name = factory.canonical_name(model.name)
    known = opened.facts.at_least(Rank.STATED)
    # What the source does not say itself was said, or meant, when the file was made.
    for fact in ("num_heads", "layer_norm_epsilon"):
        if fact not in known:
            arguments.setdefault(fact, getattr(model, fact))
    options = Options(
        arguments={k: v for k, v in arguments.items() if k not in known},
        image_shape=tuple(model.image_shape) if "image_size" not in known else None,
        patch_size=model.patch_size,
    )
    known_name = name if name in factory.list_models() else None
    return make_plan(opened, options, known_name, is_strict=False)


def _recorded(model: ScoreModel) -> dict[str, Any]:
    facts = model.record.get("facts", {})
    return {k: v for k, v in facts.items() if isinstance(v, Mapping)} if facts else {}


def _spec(model: ScoreModel, plan: Plan, report: Callable[[str], None]) -> ScoreModel:
    """Return a model of the source's facts, without values, where they are not the file's."""
    differing = [
        f"{name} is {shown_value(getattr(model, name))} and should be {plan.facts[name].shown}"
        for name in ("num_heads", "activation", "layer_norm_epsilon", "pooling")
        if name in plan.facts
        and hasattr(model, name)
        and getattr(model, name) != plan.facts[name].value
    ]
    for words in differing:
        report(f"The file is of another network than its source: {words}.")
    return model if not differing else plan.architecture.make(model.num_classes)


def _check_fits(model: ScoreModel, plan: Plan) -> None:
    drop = left_out(plan.detected, model)
    if not model.num_classes:
        drop = {**drop, "head*": "the model has no head"}
    elif model.num_classes != plan.detected.num_classes:
        raise InputError(
            f"{plan.checkpoint.label} has another head than the model: {model.num_classes} classes "
            f"are needed. Received: {plan.detected.num_classes}. Verify a model with the source's "
            "own head"
        )
    prove(model, plan.checkpoint, plan.detected.layout, drop)
