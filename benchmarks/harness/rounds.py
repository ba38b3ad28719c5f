"""Rounds: every contender runs a few calls in turn, so that a slow minute slows all of them.

Where not all contenders fit into memory together they run in groups, and the references run in
each group. With room for one alone, each turn starts its worker and stops it.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

from benchmarks.contenders import Task
from benchmarks.harness.workers import Pool

REFERENCES = ("timm-fused", "onnxruntime", "train-timm")


@dataclasses.dataclass(frozen=True)
class Turn:
    """The seconds of each call that a contender made in one round of one group.

    `cpu` is the CPU time of one call, all threads together.
    """

    contender: str
    group: int
    round: int
    seconds: tuple[float, ...]
    cpu: float = 0.0


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured: rounds, seconds a turn should last, workers in memory together."""

    rounds: int
    seconds: float
    resident: int


def groups(contenders: Sequence[str], resident: int) -> list[list[str]]:
    """Divide the contenders into groups that fit into memory, the references in each.

    Only `resident - 1` references are repeated, so that there is room for somebody else.
    """
    if resident == 1 or len(contenders) <= resident:
        return [list(contenders)]
    pinned = [name for name in REFERENCES if name in contenders][: resident - 1]
    others = [name for name in contenders if name not in pinned]
    room = resident - len(pinned)
    return [pinned + others[start : start + room] for start in range(0, len(others), room)]


def calls_a_turn(call_seconds: float, turn_seconds: float) -> int:
    """Return how many calls fill a turn: one at least, 50 at most."""
    return min(50, max(1, math.ceil(turn_seconds / max(call_seconds, 1e-9))))


def play(
    tasks: Sequence[Task], effort: Effort, say: Callable[[str], None] = lambda text: None
) -> tuple[list[Turn], dict[str, dict]]:
    """Run all tasks against each other.

    Args:
        tasks: one for each contender.
        effort: see there.
        say: called with what is going on.

    Returns:
        turns: what was measured.
        facts: by contender, what its worker said of it; `skipped` is the reason if it did not run.
    """
    by_name = {task.contender: task for task in tasks}
    turns, facts = [], {}
    with Pool(effort.resident) as pool:
        for group, names in enumerate(groups(list(by_name), effort.resident)):
            pool.keep(names)
            for number in range(effort.rounds):
                # Nobody always runs behind the same neighbour.
                shift = number % len(names)
                for name in names[shift:] + names[:shift]:
                    if "skipped" in facts.get(name, {}):
                        continue
                    turns += _turn(pool, by_name[name], facts, group, number, effort, say)
    return turns, facts


def _turn(pool, task, facts, group, number, effort, say):
    known = task.contender in facts
    worker = pool.get(task)
    if not known:
        facts[task.contender] = dict(worker.facts)
        say(f"{task.contender}: {_heard(worker.facts)}")
    if "skipped" not in worker.facts:
        seconds, cpu = worker.run(calls_a_turn(worker.facts["again"], effort.seconds))
        _remember(facts[task.contender], worker.facts)
    if "skipped" in worker.facts:
        facts[task.contender]["skipped"] = worker.facts["skipped"]
        return []
    return [Turn(task.contender, group, number, tuple(seconds), cpu)]


def _heard(facts):
    if "skipped" in facts:
        return f"skipped, {facts['skipped']}"
    return f"first call {facts['first_call']:.2f} s, then {1000 * facts['again']:.1f} ms"


def _remember(facts, latest):
    """Keep the largest memory of all the workers that the contender had."""
    for name in ("peak", "added"):
        facts[name] = max(facts[name], latest.get(name, 0))
