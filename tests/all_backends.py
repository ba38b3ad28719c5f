"""Run the tests on TensorFlow, JAX and PyTorch, one process each; arguments go to pytest.

PyTorch runs everything. The others leave out what is marked `neutral`, which does not depend on the
backend. As many backends run at once as there are cores. XLA, which spends most of the time on
compiling, compiles without optimising; what its optimisations got wrong once (`layers/
test_head_mixing.py`) and golden values are tested with them.
"""

import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

BACKENDS = ("jax", "tensorflow", "torch")
ROOT = pathlib.Path(__file__).resolve().parents[1]
QUICK_COMPILATION = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def run(backend: str, arguments: list[str]) -> tuple[int, dict[str, int]]:
    """Run pytest on one backend; return its exit code and how many tests passed, failed, ..."""
    selection = [] if backend == "torch" else ["-m", "not neutral"]
    command = [sys.executable, "-m", "pytest", *selection, *arguments]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if backend != "torch":
        environment.setdefault("XLA_FLAGS", QUICK_COMPILATION)
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, errors="replace"
    )
    counts: dict[str, int] = {}
    for line in process.stdout:
        print(f"{backend}: {line}", end="", flush=True)
        found = re.findall(r"(\d+) (passed|failed|errors?|skipped)\b", line)
        counts = {name: int(number) for number, name in found} or counts
    return process.wait(), counts


def main() -> int:
    """Run all backends, even after a failure, and say how each ended."""
    with concurrent.futures.ThreadPoolExecutor(min(len(BACKENDS), os.cpu_count() or 1)) as pool:
        futures = {backend: pool.submit(run, backend, sys.argv[1:]) for backend in BACKENDS}
        results = {backend: future.result() for backend, future in futures.items()}
    total = collections.Counter()
    for backend, (code, counts) in results.items():
        total.update(counts)
        print(f"{backend}: {'passed' if code == 0 else 'FAILED'}, {counts}")
    failed = total["failed"] + total["error"] + total["errors"]
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    # A backend that a signal ended has a negative code.
    return int(any(code for code, _ in results.values()))


if __name__ == "__main__":
    sys.exit(main())
