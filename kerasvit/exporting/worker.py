"""The process that `kerasvit.exporting.process` starts: it exports, and leaves an answer."""

import json
import os
import pathlib
import signal
import sys
import threading
import traceback
from typing import Any

from kerasvit.errors import KerasViTError
from kerasvit.exporting.exporter import export_here
from kerasvit.exporting.process import ANSWER, MODEL, ORDER
from kerasvit.pretrained import load


def answer(folder: pathlib.Path) -> dict[str, Any]:
    """Do what the folder's order says; return the result, or the error as a name and a message."""
    order = json.loads((folder / ORDER).read_text())
    try:
        return {"result": export_here(load(folder / MODEL), **order)}
    except KerasViTError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:
        traceback.print_exception(error)
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        return {"error": "KerasViTError", "message": message}


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    """End, and tidy up, when the process that started this one has: its end of the pipe closes."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    place = pathlib.Path(sys.argv[1])
    (place / ANSWER).write_text(json.dumps(answer(place)))
