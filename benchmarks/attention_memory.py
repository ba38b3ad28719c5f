"""Peak memory of `attention="cls"` against "full" and "none": a 480x480 picture and DINO ViT-S/8.

    python -m benchmarks.attention_memory [--backends torch jax tensorflow] [--size 480]

The picture has 3,601 tokens; the weights are random. Each mode runs in a process of its own, in
which the model is first made and run on a picture of 64x64 pixels, so that what counts is what the
large picture adds. The fourth, `explain`, is what `kerasvit saliency` does with `attention` and the
mask of `--mass`: it must not need more than "cls". The bar: "cls" adds under a third of "full".
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

from benchmarks.harness import machine, memory
from benchmarks.harness.workers import ROOT, environment

MODEL, MEBI = "dino_vits8", 2**20
MODES = ("full", "cls", "none", "explain")
BAR = 1 / 3


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one mode took: bytes at the peak, bytes that the picture added, seconds."""

    peak: int
    added: int
    seconds: float


def main():
    """Measure every mode on every backend; exit with 1 if the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["torch", "jax", "tensorflow"])
    parser.add_argument("--size", type=int, default=480)
    parser.add_argument("-o", "--output", type=pathlib.Path, help="a JSON file")
    parser.add_argument("--child", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(dataclasses.asdict(child(options.child, options.size))))
        return 0
    found = {}
    for backend in options.backends:
        found[backend] = {mode: measure(mode, backend, options.size) for mode in MODES}
        print("\n".join(lines(backend, found[backend])), flush=True)
    if options.output:
        facts = {
            name: {m: dataclasses.asdict(f) for m, f in own.items()} for name, own in found.items()
        }
        facts = {"model": MODEL, "size": options.size, "machine": machine.describe(1)} | facts
        options.output.write_text(json.dumps(facts, indent=1) + "\n")
    return int(any(missed(own) for own in found.values()))


def measure(mode, backend, size):
    """Run one mode in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.attention_memory", "--child", mode]
    done = subprocess.run(
        [*command, "--size", str(size)],
        cwd=ROOT,
        env=environment(backend) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{backend}, {mode}: {done.stderr.strip()[-1000:]}")
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def child(mode, size):
    """Make the model, warm it up, and run the large picture."""
    import kerasvit
    from kerasvit.saliency import explain
    from kerasvit.saliency.backends import run

    model = kerasvit.create_model(MODEL, image_shape=(size, size, 3), attention="none")
    view = model.with_attention("none" if mode == "explain" else mode)

    def look(pixels):
        if mode == "explain":
            return explain(view, pixels, "attention").values
        return run(view, call, {"pixels": pixels})

    look(np.zeros((1, 64, 64, 3), np.float32))
    before = memory.resident()
    memory.forget_peak()
    started = time.perf_counter()
    look(np.random.default_rng(0).random((1, size, size, 3), np.float32))
    seconds = time.perf_counter() - started
    return Figures(memory.peak(), max(memory.peak() - before, 1), seconds)


def call(model, tensors):
    """Return all that the model returns."""
    return model(tensors["pixels"], training=False)


def lines(backend, found):
    """Return a line for each mode of a backend."""
    full = found["full"].added
    return [
        f"{backend:10} {mode:7} adds {own.added / MEBI:6.0f} MiB ({own.added / full:.2f} of full), "
        f"peak {own.peak / MEBI:6.0f} MiB, {own.seconds:.1f} s"
        for mode, own in found.items()
    ]


def missed(found):
    """Tell whether the bar is missed."""
    return max(found[mode].added for mode in ("cls", "explain")) > BAR * found["full"].added


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
