"""Training steps of kerasvit's CaiT on each backend against a plain PyTorch loop on timm's.

    python -m benchmarks.training [--batch 128] [--contenders train-timm 'train-kerasvit-jax-*']

A row's milliseconds are those of a `fit` of four steps. What it costs to return the scores is the
difference between `full` and `none`.
"""

import argparse
import sys

from benchmarks import machine, tables
from benchmarks.contenders import TRAINING, Task


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32, help="of the images in pixels")
    parser.add_argument(
        "--contenders", nargs="+", default=["*"], help=f"patterns of: {', '.join(TRAINING)}"
    )
    tables.add_effort(parser)
    options = parser.parse_args()
    tasks = [
        Task(name, "CaiT, 12 + 2 layers", options.batch, options.size, options.threads)
        for name in tables.chosen(TRAINING, options.contenders)
    ]
    busyness = machine.Busyness()
    cells = tables.measure([tasks], tables.effort(options), lambda task: 0.0, {})
    output = options.output or tables.RESULTS / "training.json"
    tables.finish(cells, busyness, {}, options.threads, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
