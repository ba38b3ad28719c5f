"""kerasvit against timm, onnxruntime and keras-hub: speed, memory, time of the first call.

    python -m benchmarks.speed                                  # everything: hours
    python -m benchmarks.speed --models vit_small_patch16_224 --batches 8 --contenders 'timm*' \\
        onnxruntime 'kerasvit-jax-*'
    python -m benchmarks.speed --quick                          # does it run: seconds
    python -m benchmarks.speed --models vit_small_patch8_224 --batches 1 --sizes 224 336 480

Each contender is a process of its own, and they take turns. The weights are random: speed does not
depend on them. Needs torch and timm; what else is missing is skipped with its reason.
"""

import argparse
import sys

from benchmarks.contenders import INFERENCE, PRODUCTS, Task
from benchmarks.contenders.products import SIDE
from benchmarks.harness import machine, plots, tables
from benchmarks.harness.rounds import Effort, play
from benchmarks.harness.subjects import NAMES, QUICK, SUBJECTS

BATCHES = (1, 8, 32)


def measured_peak(threads: int, effort: Effort, side: int = SIDE) -> dict[str, float]:
    """Return the operations a second of a matrix product, the best of all calls, by library."""
    tasks = [Task(name, "", batch=1, size=side, threads=threads) for name in PRODUCTS]
    turns, _ = play(tasks, effort)
    best = {}
    for turn in turns:
        library = turn.contender.removeprefix("product-")
        best[library] = max(best.get(library, 0.0), 2 * side**3 / min(turn.seconds))
    return best


def cells(options) -> list[list[Task]]:
    """Return the tasks, those that run against each other together."""
    names = tables.chosen(INFERENCE, options.contenders)
    return [
        [Task(name, model, batch, size, options.threads, options.reuse_memory) for name in names]
        for model in options.models
        for size in options.sizes or (SUBJECTS[model].size,)
        for batch in options.batches
    ]


def read_options(arguments=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=SUBJECTS, default=NAMES, metavar="MODEL")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--sizes", nargs="+", type=int, help="of the images; defaults to 224")
    parser.add_argument(
        "--contenders", nargs="+", default=["*"], help=f"patterns of: {', '.join(INFERENCE)}"
    )
    parser.add_argument("--no-peak", action="store_true", help="do not measure matrix products")
    parser.add_argument("--quick", action="store_true", help="a tiny model, two rounds, no peak")
    tables.add_effort(parser)
    options = parser.parse_args(arguments)
    if options.quick:
        options.models, options.batches, options.sizes = [QUICK.name], [2], [QUICK.size]
        options.rounds, options.seconds, options.no_peak = 2, 0.02, True
    return options


def main() -> int:
    options = read_options()
    busyness, effort = machine.Busyness(), tables.effort(options)
    peak = {} if options.no_peak else measured_peak(options.threads, effort)

    def operations(task):
        return SUBJECTS[task.model].operations(task.size)

    measured = tables.measure(cells(options), effort, operations, peak)
    output = options.output or tables.RESULTS / "speed.json"
    results = tables.finish(measured, busyness, peak, options, output)
    for file in plots.draw(results, output.with_suffix("")):
        tables.say(f"written: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
