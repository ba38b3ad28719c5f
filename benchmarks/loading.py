"""From a file to a model: `from_pretrained` of a converted model, and timm with the checkpoint.

    python -m benchmarks.loading [--model vit_base_patch16_224] [--rounds 5]

Each load is a process of its own; the time starts when the backend is imported, and the memory is
the peak above what is resident then. The bars: no slower than timm, at most 2.5 times the file.
"""

import argparse
import sys

from benchmarks.harness.processes import MEBI, Script, show
from benchmarks.harness.weights import files
from benchmarks.imports import BACKENDS, read

FRAME = """
import sys, time
path = sys.argv[1]
{imports}
from benchmarks import memory
before = memory.resident()
memory.forget_peak()
start = time.perf_counter()
{load}
print(time.perf_counter() - start, memory.peak() - before)
"""
KERASVIT = FRAME.format(
    imports="import keras, kerasvit\nkeras.ops.zeros(1)",
    load="model = kerasvit.from_pretrained(path)",
)
TIMM = FRAME.format(
    imports="from kerasvit.conversion.proof.timm.package import import_timm\ntimm = import_timm()\n"
    "from safetensors.torch import load_file",
    load="model = timm.create_model(sys.argv[2])\nmodel.load_state_dict(load_file(path))",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    options = parser.parse_args()
    checkpoint, converted = files(options.model)
    print(f"{options.model}: {converted.stat().st_size / MEBI:.0f} MiB")
    scripts = [Script("timm", ("-c", TIMM, str(checkpoint), options.model), None, read)]
    scripts += [
        Script(f"kerasvit-{backend}", ("-c", KERASVIT, str(converted)), backend, read)
        for backend in options.backends
    ]
    show(scripts, options.rounds, reference="timm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
