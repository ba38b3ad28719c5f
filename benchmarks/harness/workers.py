"""The other end of the workers' pipes: starting, asking and stopping them."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks.contenders import ENTRIES, Task

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What `kerasvit.reuse_memory` sets, for processes that do not import kerasvit as well.
REUSING = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}


def environment(backend: str | None = None, threads: int | None = None) -> dict[str, str]:
    """Return the environment of a child: its Keras backend, its threads, and few messages."""
    settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": backend}
    if threads:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        settings |= dict.fromkeys((*names, "TF_NUM_INTRAOP_THREADS"), str(threads))
    inherited = {name: value for name, value in os.environ.items() if name not in settings}
    return inherited | {name: value for name, value in settings.items() if value}


class Worker:
    """One contender's process.

    Attributes:
        facts: what its first answer said; `skipped` among it if it cannot run.
    """

    def __init__(self, task: Task):
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115, see stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness.worker"],
            cwd=ROOT,
            env=environment(ENTRIES[task.contender].backend, task.threads)
            | (REUSING if task.reuse_memory else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        # JAX starts one thread for each CPU that the process may use.
        if hasattr(os, "sched_setaffinity"):
            allowed = sorted(os.sched_getaffinity(0))[: task.threads]
            os.sched_setaffinity(self._process.pid, allowed)
        self.facts = self._ask(dataclasses.asdict(task))

    def run(self, calls: int) -> tuple[list[float], float]:
        """Let it run; return the seconds of each call and the CPU time of one on average.

        The memory goes into `facts`.
        """
        answer = self._ask(calls)
        self.facts |= answer
        return answer.get("seconds", []), answer.get("cpu", 0.0)

    def stop(self) -> None:
        """End the process, and wait until its memory is free."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _ask(self, order) -> dict:
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"skipped": self._last_words()}

    def _last_words(self):
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f"it died with code {code}: {lines[-1][:200] if lines else 'no message'}"


class Pool:
    """At most `resident` workers at a time; the one unused for longest makes room for a new one.

    Args:
        resident: how many processes may hold a model together.
        start: makes a worker of a task.
    """

    def __init__(self, resident: int, start=Worker):
        self.resident = resident
        self._start = start
        self._workers: dict[str, Worker] = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.keep(())

    def get(self, task: Task) -> Worker:
        """Return the task's worker, started if there is none."""
        worker = self._workers.pop(task.contender, None)
        if worker is None:
            while len(self._workers) >= self.resident:
                self._workers.pop(next(iter(self._workers))).stop()
            worker = self._start(task)
        self._workers[task.contender] = worker
        return worker

    def keep(self, contenders) -> None:
        """Stop all workers but these."""
        for name in [name for name in self._workers if name not in contenders]:
            self._workers.pop(name).stop()
