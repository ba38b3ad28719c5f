"""Folders that keras-hub wrote of our models."""

import contextlib
import json
import pathlib

from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel


def is_preset(path: pathlib.Path) -> bool:
    """Tell whether a path is a folder that keras-hub wrote of one of our models."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        config = json.loads((path / "config.json").read_text("utf-8"))
        return str(config.get("registered_name")).startswith("kerasvit>")
    return False


def load_preset(path: pathlib.Path) -> ScoreModel:
    """Return the model of such a folder, which keras-hub reads.

    Raises:
        UsageError: if keras-hub is not installed.
    """
    try:
        from kerasvit.models.opening.keras_hub import read_preset
    except ImportError as error:
        raise UsageError(
            f"{str(path)!r} is a preset of keras-hub, which reads it. Received: {error}. "
            'Install it with: pip install "kerasvit[keras-hub]"'
        ) from error
    return read_preset(path)
