"""Exporting in a process of its own, whose Keras runs on the backend that the format needs."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from kerasvit import errors
from kerasvit.errors import KerasViTError
from kerasvit.temporary import scratch_folder

# What the two processes leave each other in a folder.
MODEL, ORDER, ANSWER = "model.keras", "order.json", "answer.json"
_WORKER = "kerasvit.exporting.worker"
_SECONDS_TO_END = 10


def export_elsewhere(model: Any, backend: str, order: dict[str, Any]) -> dict[str, Any]:
    """Run `kerasvit.exporting.exporter.export_here` on another backend, and return what it returns.

    Args:
        model: the model, which travels as a `.keras` file.
        backend: of Keras.
        order: arguments for JSON.

    Raises:
        KerasViTError: what the other process raised.
    """
    with scratch_folder() as folder:
        model.save(folder / MODEL)
        (folder / ORDER).write_text(json.dumps(order))
        command = [sys.executable, "-m", _WORKER, str(folder)]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        # The search path too: modules of subclasses may have been found beside a script.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        code, said = _run(command, environment)
        return _read_answer(folder / ANSWER, code, said)


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run the worker; return its exit code and what it said. It ends when this process does."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, text=True
    )
    try:
        # Its standard input stays open as long as this process lives: see the worker.
        assert process.stderr is not None
        said = process.stderr.read()
        return process.wait(), said
    except BaseException:
        # In the middle of its files: it is to remove them.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
        process.kill()
        raise
    finally:
        process.wait()
        for stream in (process.stdin, process.stderr):
            stream and stream.close()


def _read_answer(path: pathlib.Path, code: int, said: str) -> dict[str, Any]:
    if not path.is_file():
        last = (said.strip().splitlines() or ["no message"])[-1]
        raise KerasViTError(
            f"The process that exports ended with code {code}. Received: {last}. "
            "Set KERAS_BACKEND to the backend that the format needs, and export again"
        )
    answer = json.loads(path.read_text())
    if "error" in answer:
        raise getattr(errors, answer["error"], KerasViTError)(answer["message"])
    return answer["result"]
