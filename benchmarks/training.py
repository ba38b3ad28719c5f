"""Training steps of kerasvit on each backend against a plain PyTorch loop on timm's model.

    python -m benchmarks.training [--models cait vit] [--batch 128] [--size 32]
        [--contenders train-timm 'train-kerasvit-jax-*']

A row's milliseconds are those of a `fit` of four steps. What it costs a model to have scores to
return is the difference between `full` and `none`: nothing but noise, since a step makes none.
`kept` makes them in every step, as a class derived by a user does: what a step would cost if `fit`
did not choose. PyTorch, and long sequences (`--size 128`), show it.
"""

import argparse
import sys

from benchmarks.contenders import TRAINING, Task
from benchmarks.contenders.training import CAIT, VIT
from benchmarks.harness import machine, tables

MODELS = {"cait": CAIT, "vit": VIT}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models",
        nargs="+",
        default=["cait"],
        help=f"{', '.join(MODELS)} (small ones for small pictures), or architectures of timm",
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32, help="of the images in pixels")
    parser.add_argument(
        "--contenders", nargs="+", default=["*"], help=f"patterns of: {', '.join(TRAINING)}"
    )
    tables.add_effort(parser)
    options = parser.parse_args()
    names = tables.chosen(TRAINING, options.contenders)
    sizes = (options.batch, options.size, options.threads, options.reuse_memory)
    cells = [
        [Task(name, MODELS.get(each, each), *sizes) for name in names] for each in options.models
    ]
    busyness = machine.Busyness()
    measured = tables.measure(cells, tables.effort(options), lambda task: 0.0, {})
    output = options.output or tables.RESULTS / "training.json"
    tables.finish(measured, busyness, {}, options, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
