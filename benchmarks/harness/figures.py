"""From measured turns to the figures of a table."""

import dataclasses
import statistics
from collections.abc import Sequence

from benchmarks.harness.rounds import Turn


@dataclasses.dataclass(frozen=True)
class Row:
    """The figures of one contender at one task; None where there is none.

    Times in seconds, memory in bytes. `cpu` is the CPU time of all threads, which says more than
    `seconds` while others use the machine, if there is one thread: several wait busily. `spread`
    is the half of the middle 50 % of the rounds, as a share of their median; `ratios` how many
    times as fast as each reference; `share` the part of the measured peak of a matrix product.
    """

    contender: str
    seconds: float | None = None
    spread: float | None = None
    images_per_second: float | None = None
    ratios: dict[str, float | None] = dataclasses.field(default_factory=dict)
    share: float | None = None
    first_call: float | None = None
    peak: int | None = None
    added: int | None = None
    scores: str = ""
    skipped: str | None = None
    cpu: float | None = None


def by_round(turns: Sequence[Turn], contender: str) -> dict[tuple[int, int], float]:
    """Return the median seconds of the contender's calls, by group and round."""
    return {
        (turn.group, turn.round): statistics.median(turn.seconds)
        for turn in turns
        if turn.contender == contender and turn.seconds
    }


def spread(values: Sequence[float]) -> float | None:
    """Return half the distance between the quartiles, as a share of the median."""
    if len(values) < 4:
        return None
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / middle


def ratio(turns: Sequence[Turn], contender: str, reference: str, anchor: str | None = None):
    """Return how many times as fast as the reference: the median of the paired rounds.

    Args:
        turns: of all contenders.
        contender: who is compared.
        reference: with whom.
        anchor: somebody who ran beside both; used where these two never ran side by side.

    Returns:
        A float above 1 for the faster one, or None.
    """
    own, other = by_round(turns, contender), by_round(turns, reference)
    pairs = [other[key] / own[key] for key in own if key in other]
    if pairs:
        return statistics.median(pairs)
    if anchor in (None, contender, reference):
        return None
    left, right = ratio(turns, contender, anchor), ratio(turns, reference, anchor)
    return left / right if left and right else None


def row(
    contender: str,
    turns: Sequence[Turn],
    facts: dict,
    references: Sequence[str],
    operations: float = 0.0,
    peak_operations: float = 0.0,
) -> Row:
    """Make the row of one contender.

    Args:
        contender: its name.
        turns: of all contenders of the task.
        facts: what its worker said.
        references: whom it is compared with; the first is the anchor of the others.
        operations: floating-point operations of one image.
        peak_operations: those that a matrix product reaches in a second; 0 if not measured.
    """
    rounds = list(by_round(turns, contender).values())
    if not rounds:
        return Row(contender, skipped=facts.get("skipped", "no round was run"))
    seconds = statistics.median(rounds)
    speed = facts["images"] / seconds
    return Row(
        contender,
        seconds,
        spread(rounds),
        speed,
        {name: ratio(turns, contender, name, references[0]) for name in references},
        operations * speed / peak_operations if peak_operations else None,
        facts["first_call"],
        facts["peak"],
        facts["added"],
        facts["scores"],
        facts.get("skipped"),
        statistics.median(turn.cpu for turn in turns if turn.contender == contender),
    )
