"""How long `import kerasvit` takes beyond `import keras`, on each backend.

    python -m benchmarks.imports [--rounds 7]

The bar is 0.2 s above Keras. Memory is that of the process.
"""

import argparse
import sys

from benchmarks.harness.processes import Script, show

BACKENDS = ("jax", "tensorflow", "torch")
CODE = """
import time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
from benchmarks import memory
print(seconds, memory.peak())
"""


def read(text: str) -> tuple[float, int]:
    """Return the seconds and the bytes on the last line."""
    seconds, peak = text.split()[-2:]
    return float(seconds), int(peak)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    options = parser.parse_args()
    for backend in options.backends:
        modules = {"keras": "keras", "keras and kerasvit": "keras, kerasvit"}
        scripts = [
            Script(f"{backend}: {name}", ("-c", CODE.format(module=module)), backend, read)
            for name, module in modules.items()
        ]
        show(scripts, options.rounds, reference=f"{backend}: keras")
    return 0


if __name__ == "__main__":
    sys.exit(main())
