"""What a pass costs on a TPU v5e, by its own compiler: no TPU is needed, and none is asked.

    pip install libtpu
    python -m benchmarks.tpu [--models vit_small_patch16_224 ...] [--attention full cls none]
        [--gradient] [--batch 8] [--layers 2] [--chips 1x1 4x1 2x2]

`--chips DATAxMODEL` splits the batch over the first and the weights over the second, by the layout
that kerasvit ships. Figures are those of one chip. A ratio to plain JAX is a fact about programs;
how long a chip takes was not measured: the bound is the least that it can.
"""

import argparse
import dataclasses
import itertools
import json
import sys

from benchmarks.tpu import chip

MODELS = ("vit_small_patch16_224", "cait_xxs24_224")
COLUMNS = (
    "model",
    "work",
    "chips",
    "GFLOP",
    "MB moved",
    "to plain JAX",
    "MiB beside the weights",
    "bound, ms",
    "messages",
    "compiled in, s",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--attention", nargs="+", default=["full", "cls", "none"])
    parser.add_argument("--gradient", action="store_true", help="of a training step, no scores")
    parser.add_argument("--batch", type=int, default=8, help="for each part of the data")
    parser.add_argument("--layers", type=int, help="blocks of the model; fewer compile faster")
    parser.add_argument("--chips", nargs="+", default=["1x1"], metavar="DATAxMODEL")
    parser.add_argument("--plain", action="store_true", help="compile the same in plain JAX too")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each program")
    options = parser.parse_args()
    chip.prepare()
    if not options.json:
        _print_row(COLUMNS)
        _print_row(["---"] * len(COLUMNS))
    modes = ["none"] if options.gradient else options.attention
    for model, chips in itertools.product(options.models, options.chips):
        _measure(options, model, chips, modes)
    return 0


def _measure(options, model, chips, modes):
    from benchmarks.tpu.programs import Work, kerasvit_cost, plain_cost

    data, weights = (int(number) for number in chips.split("x"))
    topology = "v5e:2x2" if data * weights <= 4 else "v5e:4x4"
    mesh = chip.mesh(topology, data, weights)
    sizes = {
        "batch": options.batch * data,
        "gradient": options.gradient,
        "num_layers": options.layers,
    }
    show = _show_json if options.json else _show
    plain = None
    if options.plain and data * weights == 1:
        plain = plain_cost(Work(model, "none", **sizes), mesh)
        show(model, "plain JAX", chips, plain, plain)
    for attention in modes:
        name = "gradient" if options.gradient else f"forward, {attention}"
        show(model, name, chips, kerasvit_cost(Work(model, attention, **sizes), mesh), plain)


def _show_json(model, work, chips, cost, plain):
    row = {"model": model, "work": work, "chips": chips, **dataclasses.asdict(cost)}
    print(json.dumps(row | {"to_plain": plain and cost.moved / plain.moved}), flush=True)


def _show(model, work, chips, cost, plain):
    _print_row(_cells(model, work, chips, cost, plain))


def _cells(model, work, chips, cost, plain):
    seconds, limit = cost.bound
    return [
        model,
        work,
        chips,
        f"{cost.operations / 1e9:.1f}",
        f"{cost.moved / 1e6:.0f}",
        "" if plain is None else f"{cost.moved / plain.moved:.2f}",
        f"{cost.memory / 2**20:.0f}",
        f"{1000 * seconds:.2f} ({limit})",
        ", ".join(f"{count} {kind}" for kind, count in cost.collectives.items()),
        f"{cost.seconds:.0f}",
    ]


def _print_row(cells):
    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    sys.exit(main())
