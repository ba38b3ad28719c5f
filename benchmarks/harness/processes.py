"""Whole processes against each other: started in turn, each some rounds, medians of the rounds.

For what happens once in a process: imports, loading, the first picture.
"""

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from benchmarks.harness.workers import ROOT, environment

MEBI = 2**20


@dataclasses.dataclass(frozen=True)
class Script:
    """A process to start.

    Args:
        name: what the report calls it.
        arguments: those after the Python interpreter.
        backend: of Keras, or None.
        read: makes the seconds and the bytes of memory that count from what it printed; None takes
            the time of the whole process and its largest resident memory.
    """

    name: str
    arguments: tuple[str, ...]
    backend: str | None = None
    read: Callable[[str], tuple[float, int]] | None = None


def run(script: Script) -> tuple[float, int]:
    """Run a script, and return its seconds and bytes.

    Raises:
        RuntimeError: if it fails; the message is the end of what it said.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *script.arguments],
            cwd=ROOT,
            env=environment(script.backend) | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(text.strip()[-500:])
    unit = 1 if sys.platform == "darwin" else 1024
    return script.read(text) if script.read else (seconds, usage.ru_maxrss * unit)


def compare(scripts: Sequence[Script], rounds: int) -> dict[str, list[tuple[float, int]]]:
    """Run all scripts in turn; one that fails is reported and left out from then on."""
    found: dict[str, list[tuple[float, int]]] = {script.name: [] for script in scripts}
    failed = set()
    for _ in range(rounds):
        for script in scripts:
            if script.name in failed:
                continue
            try:
                found[script.name].append(run(script))
            except RuntimeError as error:
                failed.add(script.name)
                print(f"{script.name} failed: {error}", file=sys.stderr)
    return {name: results for name, results in found.items() if results}


def lines(found: dict[str, list[tuple[float, int]]], reference: str) -> list[str]:
    """Return a line for each script: median seconds, their range, memory, times the reference.

    The last figure is above 1 for a script that takes longer, from the medians of paired rounds.
    """
    width = max(map(len, found), default=0)
    text = []
    for name, results in found.items():
        seconds = [result[0] for result in results]
        line = (
            f"{name:{width}}  {statistics.median(seconds):6.2f} s "
            f"({min(seconds):.2f} to {max(seconds):.2f})  "
            f"{statistics.median(result[1] for result in results) / MEBI:6.0f} MiB"
        )
        if reference in found:
            pairs = zip(results, found[reference], strict=False)
            times = statistics.median(own[0] / other[0] for own, other in pairs)
            line += f"  {times:.2f} times {reference}"
        text.append(line)
    return text


def show(scripts: Sequence[Script], rounds: int, reference: str) -> None:
    """Compare the scripts, and print the lines and how busy the machine was."""
    from benchmarks.harness import machine

    busyness = machine.Busyness()
    found = compare(scripts, rounds)
    print("\n".join([*lines(found, reference), machine.warning(busyness.report())]).strip())
