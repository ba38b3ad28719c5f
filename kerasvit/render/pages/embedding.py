"""What pages hold inside themselves: their parts, pictures and bytes as text."""

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

from kerasvit.texts.printable import printable_tree

_LONGEST_SIDE = 1024
_JPEG_QUALITY = 90


def as_base64(content: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(content).decode("ascii")


def as_json(facts: Any) -> str:
    """Return facts as JSON that no name in it can end, or open a comment in, its element."""
    return json.dumps(printable_tree(facts)).replace("<", "\\u003c")


def as_jpeg(picture: np.ndarray) -> bytes:
    """Return a picture, uint8 `(H, W, 3)`, as JPEG, at most 1024 pixels long."""
    image = Image.fromarray(picture)
    if max(image.size) > _LONGEST_SIDE:
        scale = _LONGEST_SIDE / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return stream.getvalue()
