"""Run the tests on TensorFlow, JAX and PyTorch, one process each; arguments go to pytest.

The first backend runs everything. The others leave out what is marked `neutral`, which does not
depend on the backend.
"""

import os
import pathlib
import re
import subprocess
import sys

BACKENDS = ("jax", "tensorflow", "torch")
ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(backend: str, arguments: list[str]) -> tuple[int, str]:
    """Run pytest on one backend; return its exit code and its closing line."""
    less = "" if backend == BACKENDS[0] else f", less what ran on {BACKENDS[0]} for all"
    print(f"== {backend}{less} ==", flush=True)
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "pytest", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, errors="replace"
    )
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if re.search(r"\d+ (passed|failed|error)", line) else last
    return process.wait(), last.strip(" =\n")


def main() -> int:
    """Run all backends, even after a failure, and say how each ended."""
    results = {}
    for backend in BACKENDS:
        selection = [] if backend == BACKENDS[0] else ["-m", "not neutral"]
        results[backend] = run(backend, [*selection, *sys.argv[1:]])
    print()
    for backend, (code, line) in results.items():
        print(f"{backend}: {'passed' if code == 0 else 'FAILED'} ({line})")
    return max(code for code, _ in results.values())


if __name__ == "__main__":
    sys.exit(main())
