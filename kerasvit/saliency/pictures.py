"""Pictures as `explain` takes them, and as a result keeps them."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images.inputs import resolve
from kerasvit.images.preprocessing import Prepared
from kerasvit.images.reading import read
from kerasvit.images.records import recorded_preprocessing

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

# One picture: a path, "sample:NAME", the bytes of a file, a file object, a PIL image, or uint8
# `(H, W, 3)`.
Picture = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Photograph:
    """A picture as it was read.

    Args:
        pixels: uint8 `(H, W, 3)`.
        name: the file's name, or `""`.
    """

    pixels: np.ndarray
    name: str = ""


def check_kinds(model: Any, pixels: Any) -> None:
    """Refuse what is no model, or no picture, before it is asked for what these have.

    Raises:
        InputError: if a list is empty.
        UsageError: if one of them is something else.
    """
    if not hasattr(model, "num_layers"):
        raise UsageError(
            f"A model of kerasvit is explained. Received: {type(model).__name__}. Open a "
            "release or a file: kerasvit.from_pretrained(...)"
        )
    if isinstance(pixels, list | tuple) and not pixels:
        raise InputError("A list of pictures holds at least one. Received: an empty list")
    if is_picture(pixels) or isinstance(pixels, list | tuple):
        return
    shape, kind = getattr(pixels, "shape", None), str(getattr(pixels, "dtype", ""))
    # Three axes of whole numbers are a picture that nobody prepared.
    if shape is None or (len(shape) < 4 and "float" not in kind):
        what = f"{kind} of shape {tuple(shape)}" if shape else type(pixels).__name__
        raise UsageError(
            "A picture is a path, 'sample:NAME', a PIL image, the bytes of a file, or uint8 "
            f"(height, width, 3); several are a list. Received: {what}. Pass one of these"
        )


def is_picture(source: Any) -> bool:
    """Tell a picture from prepared arrays, which are floats and have a batch axis."""
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        return True
    if hasattr(source, "read"):
        return True
    return isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim in (2, 3)


def is_list_of_pictures(source: Any) -> bool:
    """Tell a list of pictures.

    Raises:
        UsageError: if it holds pictures and something else.
    """
    if not isinstance(source, list | tuple) or not any(map(is_picture, source)):
        return False
    for number, entry in enumerate(source):
        if not is_picture(entry):
            shape = getattr(entry, "shape", "")
            raise UsageError(
                "A list holds pictures alone: paths, PIL images, uint8 (height, width, 3). "
                f"Received: {type(entry).__name__} {shape} at {number}. Pass what is prepared "
                "already in a call of its own, with a batch axis."
            )
    return True


def open_pictures(sources: Sequence[Picture]) -> list[Photograph]:
    """Read pictures; a folder or a pattern stands for all that it holds.

    Raises:
        InputError: if one cannot be read.
        UsageError: if a sample is unknown.
    """
    photographs = []
    for source in sources:
        if isinstance(source, str | os.PathLike):
            paths = resolve([os.fspath(source)])
            photographs += [Photograph(read(path), path.name) for path in paths]
        else:
            name = getattr(source, "filename", None) or getattr(source, "name", None) or ""
            name = pathlib.Path(name).name if isinstance(name, str | os.PathLike) else ""
            photographs.append(Photograph(read(source), name))
    return photographs


def stands_for_several(source: Any) -> bool:
    """Tell a folder, or a pattern such as `"photos/*.jpg"`, from one picture."""
    if not isinstance(source, str | os.PathLike):
        return False
    text = os.fspath(source)
    return os.path.isdir(text) or (not os.path.exists(text) and any(one in text for one in "*?["))


def prepare(model: "ScoreModel", photographs: Sequence[Photograph]) -> list[Prepared]:
    """Prepare photographs as the model's record says, at their own aspect ratio.

    Raises:
        InputError: if one is too narrow or too large for it.
        UsageError: if the record does not say how.
    """
    preprocessing = recorded_preprocessing(model.record, model.name)
    return [
        preprocessing.keep_aspect(photograph.pixels, patch_size=model.patch_size)
        for photograph in photographs
    ]
