"""The proof of a conversion: against the source's own network, or a word that there is none."""

import dataclasses
from collections.abc import Callable

from kerasvit.conversion.facts.facts import shown_value
from kerasvit.conversion.planning import Plan
from kerasvit.conversion.proof.finding import compare_with_source
from kerasvit.conversion.proof.outputs import NoReference
from kerasvit.conversion.proof.parity import Parity
from kerasvit.errors import UsageError
from kerasvit.memory import free_memory
from kerasvit.models.base import ScoreModel

_WORDS = {"num_heads": "heads", "activation": "activation", "layer_norm_epsilon": "epsilon"}


@dataclasses.dataclass(frozen=True)
class Proof:
    """What came of the comparison.

    Args:
        parity: the figures; None if nothing was compared.
        not_compared: why nothing was compared; None if something was, or nobody asked.
    """

    parity: Parity | None = None
    not_compared: str | None = None


def prove_conversion(
    model: ScoreModel,
    plan: Plan,
    verify: bool | None,
    writes: bool,
    report: Callable[[str], None] = lambda line: None,
) -> Proof:
    """Compare a converted model with its source's own network, and insist on the bars.

    Args:
        model: the converted model.
        plan: what it was made by.
        verify: True: it must be compared; None: if a file is written and it can be; False: not.
        writes: whether a file is written.
        report: called with each line that says what was compared with what.

    Raises:
        InputError: if a figure is beyond its bar.
        UsageError: if it must be compared and can't be.
    """
    if plan.classifier.is_random:
        return Proof(not_compared="the head is a new one") if verify is not False else Proof()
    if verify is False or (verify is None and not writes):
        return Proof()
    try:
        parity = compare_with_source(model, plan.opened, plan.checkpoint, plan.facts)
    except NoReference as error:
        reason = str(error) or "there is nothing to compare with"
        if verify:
            raise UsageError(
                f"{plan.checkpoint.label} can't be compared with its source's own network. "
                f"Received: {reason}. Leave the comparison out with verify=False, or --no-verify"
            ) from error
        report(f"Not compared: {reason}. {_assumptions(plan, compared=False)}")
        return Proof(not_compared=reason)
    parity.check(plan.checkpoint.label)
    free_memory()  # the reference is as large as ours
    report(f"Compared with {parity.reference}: {parity.summary} {_assumptions(plan)}".rstrip())
    return Proof(parity)


def _assumptions(plan: Plan, compared: bool = True) -> str:
    """Return a sentence about the facts that nothing but a name says; "" without such."""
    assumed = plan.architecture.assumed
    if not assumed:
        return ""
    listing = ", ".join(f"{_WORDS[fact.name]} {shown_value(fact.value)}" for fact in assumed)
    origin = assumed[0].origin
    if compared:
        return f"Said by {origin}, not by the source: {listing}."
    return f"Weights copied; of the network, {listing} are as {origin} says, not compared."
