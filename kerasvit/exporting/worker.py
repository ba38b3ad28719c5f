"""The process that `kerasvit.exporting.process` starts: it exports, and leaves an answer."""

import json
import pathlib
import sys
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


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    (place / ANSWER).write_text(json.dumps(answer(place)))
