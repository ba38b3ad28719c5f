"""What the commands that measure in rounds share: their options, and the way to a saved report."""

import argparse
import fnmatch
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Sequence

from benchmarks import report
from benchmarks.contenders import Task
from benchmarks.harness import machine
from benchmarks.harness.figures import row
from benchmarks.harness.rounds import REFERENCES, Effort, play

RESULTS = pathlib.Path(__file__).parents[1] / "results"


def add_effort(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how much is measured, with how much, and where it is written."""
    parser.add_argument("--rounds", type=int, default=7, help="defaults to 7")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="that a contender's turn in a round lasts"
    )
    parser.add_argument(
        "--resident",
        type=int,
        default=6,
        help="workers in memory together (6); fewer where it is short: 1 restarts each every turn",
    )
    parser.add_argument("--threads", type=int, default=_cpus(), help="defaults to all CPUs")
    parser.add_argument(
        "--reuse-memory",
        action="store_true",
        help="let every contender's process keep freed memory, as the kerasvit command does",
    )
    parser.add_argument("--output", type=pathlib.Path, help="JSON file; the plots lie beside it")


def _cpus():
    allowed = getattr(os, "sched_getaffinity", lambda pid: range(os.cpu_count() or 1))
    return len(allowed(0))


def effort(options) -> Effort:
    """Return the effort that the options ask for."""
    return Effort(max(1, options.rounds), options.seconds, max(1, options.resident))


def chosen(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match one of the shell-style patterns, in their own order.

    Raises:
        SystemExit: if a pattern matches none.
    """
    names = list(names)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            sys.exit(f"no contender is called {pattern!r}; there are: {', '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatch(name, each) for each in patterns)]


def say(text: str) -> None:
    """Tell the reader what is going on, apart from the results."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def measure(
    tasks_by_cell: Sequence[Sequence[Task]], effort: Effort, operations, peak: dict[str, float]
) -> list[dict]:
    """Measure all cells one after the other.

    Args:
        tasks_by_cell: the tasks that run against each other.
        effort: how much to measure.
        operations: function of a task, the operations of one image.
        peak: operations a second of a matrix product, by library.

    Returns:
        What `report.cell` makes of each.
    """
    cells = []
    for tasks in tasks_by_cell:
        say(f"{tasks[0].model}, batch {tasks[0].batch}, {tasks[0].size} px")
        turns, facts = play(tasks, effort, say)
        names = [task.contender for task in tasks]
        references = [name for name in REFERENCES if name in names]
        best = max(peak.values(), default=0.0)
        rows = [
            row(name, turns, facts[name], references or names[:1], operations(tasks[0]), best)
            for name in names
        ]
        cells.append(report.cell(tasks[0], rows, turns))
    return cells


def finish(cells, busyness, peak, options, output: pathlib.Path) -> dict:
    """Print the tables, write the JSON file, and return what was written."""
    names = {entry["contender"] for cell in cells for entry in cell["rows"]}
    results = {
        "machine": machine.describe(options.threads) | {"reuses_memory": options.reuse_memory},
        "busyness": busyness.report(),
        "references": [name for name in REFERENCES if name in names],
        "peak": peak,
        "cells": cells,
    }
    report.save(results, output)
    print(report.text(results))
    say(f"written: {output}")
    return results
