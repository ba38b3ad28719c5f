"""Exporting in a process of its own, whose Keras runs on the backend that the format needs."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from kerasvit import errors
from kerasvit.errors import KerasViTError

# What the two processes leave each other in a folder.
MODEL, ORDER, ANSWER = "model.keras", "order.json", "answer.json"
_WORKER = "kerasvit.exporting.worker"


def export_elsewhere(model: Any, backend: str, order: dict[str, Any]) -> dict[str, Any]:
    """Run `kerasvit.exporting.exporter.export_here` on another backend, and return what it returns.

    Args:
        model: the model, which travels as a `.keras` file.
        backend: of Keras.
        order: arguments for JSON.

    Raises:
        KerasViTError: what the other process raised.
    """
    with tempfile.TemporaryDirectory(prefix="kerasvit-") as name:
        folder = pathlib.Path(name)
        model.save(folder / MODEL)
        (folder / ORDER).write_text(json.dumps(order))
        command = [sys.executable, "-m", _WORKER, name]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        # The search path too: modules of subclasses may have been found beside a script.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        return _read_answer(folder / ANSWER, result)


def _read_answer(path: pathlib.Path, result: subprocess.CompletedProcess) -> dict[str, Any]:
    if not path.is_file():
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise KerasViTError(
            f"The process that exports ended with code {result.returncode}. Received: {last}. "
            "Set KERAS_BACKEND to the backend that the format needs, and export again"
        )
    answer = json.loads(path.read_text())
    if "error" in answer:
        raise getattr(errors, answer["error"], KerasViTError)(answer["message"])
    return answer["result"]
