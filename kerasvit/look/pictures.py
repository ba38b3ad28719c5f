"""Reading pictures, and working through many of them: one bad file is named, the others finish."""

import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from kerasvit.ahead import load_ahead
from kerasvit.errors import InputError, KerasViTError, UsageError
from kerasvit.images import read
from kerasvit.images.arriving import name_of
from kerasvit.images.notes import note
from kerasvit.images.reading import MAX_PIXELS

Loaded = TypeVar("Loaded")


def texts_of(inputs: Any) -> list[str]:
    """Return the inputs of a run as texts.

    Raises:
        UsageError: if one is neither text nor a path.
    """
    texts = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | bytearray | memoryview):
        texts = [texts]
    texts = list(texts)
    others = [text for text in texts if not isinstance(text, str | os.PathLike)]
    if others:
        raise UsageError(
            f"Inputs are paths, patterns, addresses or 'sample:NAME'. Received: "
            f"{type(others[0]).__name__}. Pictures in memory: kerasvit.saliency.explain(model, ...)"
        )
    return [os.fspath(text) for text in texts]


def open_picture(
    path: pathlib.Path, frame: int | None = None, max_pixels: int | None = None
) -> np.ndarray:
    """Read one picture, uint8 `(H, W, 3)`.

    Args:
        path: the file.
        frame: of an animation, or the page of a TIFF, from 0; None for the first.
        max_pixels: largest width x height that is decoded; None for the default.

    Raises:
        InputError: if it cannot be read, or is larger.
    """
    limit = max_pixels or MAX_PIXELS
    # Pillow refuses on its own what is twice its limit; ours has been asked for.
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, limit)
    image = read(path, max_pixels=limit, frame=frame)
    first = image[:1, :1]
    if (image[:1] == first).all() and (image == first).all():  # A row rules most pictures out.
        note(repr(name_of(path)), "every pixel has the same colour: a map of it says nothing")
    return image


def each_picture(
    paths: Sequence[pathlib.Path],
    load: Callable[[pathlib.Path], Loaded],
    work: Callable[[pathlib.Path, Loaded], None],
    *,
    fail_fast: bool = False,
    failed: Callable[[pathlib.Path, KerasViTError], None] = lambda path, error: None,
    passed: Callable[[pathlib.Path, KerasViTError | None], None] = lambda path, error: None,
) -> dict[pathlib.Path, KerasViTError]:
    """Load pictures in the background, and work on one after the other.

    A picture that fails is passed over. A usage error before any picture is done ends it all: it
    would be the same for each.

    Args:
        paths: the pictures.
        load: decodes one; runs in a thread.
        work: what is done with one, given what `load` returned.
        fail_fast: whether the first error ends it.
        failed: called for each picture that fails.
        passed: called after each picture, with the error that it was passed over for, or None.

    Returns:
        The errors of the pictures that were passed over.

    Raises:
        KerasViTError: the error of a single picture, of the first one with `fail_fast`, or one that
            is not the picture's.
    """
    errors: dict[pathlib.Path, KerasViTError] = {}
    done = 0
    for path, loaded in load_ahead(paths, load):
        problem = None
        try:
            work(path, loaded.result())
            done += 1
        except (InputError, UsageError) as error:
            if isinstance(error, UsageError) and not done:
                raise
            failed(path, error)
            if fail_fast or len(paths) == 1:
                raise
            errors[path] = problem = error
        passed(path, problem)
    return errors
