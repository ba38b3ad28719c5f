"""The record of a run beside its outputs: settings, model, and what became of each picture."""

import contextlib
import datetime
import json
import pathlib
from typing import Any

from kerasvit import __version__
from kerasvit.errors import KerasViTError, OutputError
from kerasvit.files import atomic_path

NAME = "manifest.json"
_FORMAT = "kerasvit manifest, version 1"


class Manifest:
    """Collects what a run did, and writes it when the run ends, also when it ends early.

    The file holds the newest run; those that wrote into the same folder before are kept under
    `earlier`, oldest first.

    Args:
        folder: of the outputs.
        facts: what is known before the run: settings and model.

    Raises:
        OutputError: if the folder holds a `manifest.json` that is something else.
    """

    def __init__(self, folder: pathlib.Path, facts: dict[str, Any]) -> None:
        self.path = folder / NAME
        self.earlier = _earlier(self.path)
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.content = {"format": _FORMAT, "version": __version__, "started": started, **facts}
        self.pictures: list[dict[str, Any]] = []

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if not self.pictures:
            return
        # An error that ends the run is the one to tell of.
        with contextlib.suppress(*((OutputError,) if error else ())):
            self._write()

    def add(self, path: pathlib.Path, **facts: Any) -> None:
        """Note what became of a picture.

        Args:
            path: the picture.
            **facts: values that JSON can hold.
        """
        self.pictures.append({"file": str(path), **facts})

    def fail(self, path: pathlib.Path, error: KerasViTError) -> None:
        """Note that a picture failed."""
        self.add(path, error=str(error))

    def _write(self) -> None:
        content = {**self.content, "pictures": self.pictures, "earlier": self.earlier}
        with atomic_path(self.path, overwrite=True) as temporary:
            # Escapes alone hold names that are no valid Unicode.
            text = json.dumps(content, indent=1, ensure_ascii=True, default=_plain)
            temporary.write_text(text + "\n", encoding="ascii")


def _earlier(path: pathlib.Path) -> list[dict[str, Any]]:
    """Return the runs of a manifest that is there already."""
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError("another format")
        return [*content.pop("earlier"), content]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"The manifest of this run would replace {str(path)!r}, which is something else. "
            f"Received: {' '.join(str(error).split())}. Choose another folder"
        ) from error


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as JSON knows them."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
