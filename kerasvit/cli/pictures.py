"""Working through the pictures of a command: one bad file is named, and the others finish."""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence

import tqdm

from kerasvit.errors import InputError, KerasViTError


def each_picture(
    paths: Sequence[pathlib.Path], work: Callable[[pathlib.Path], None], fail_fast: bool
) -> int:
    """Call `work` on each picture; report those that fail, and go on.

    Args:
        paths: the pictures.
        work: what is done with one.
        fail_fast: whether the first error ends it.

    Returns:
        The exit code: 0, or that of the last error.
    """
    code = 0
    for path in _progress(paths):
        try:
            work(path)
        except InputError as error:
            if fail_fast or len(paths) == 1:
                raise
            code = _report(error)
    return code


def _progress(paths) -> Iterator[pathlib.Path]:
    if len(paths) == 1:
        return iter(paths)
    return iter(tqdm.tqdm(paths, unit="picture", file=sys.stderr, disable=None))


def _report(error: KerasViTError) -> int:
    with contextlib.suppress(AttributeError):
        tqdm.tqdm.write(f"kerasvit: {error}", file=sys.stderr)
    return error.exit_code


def top_classes(model, logits, count: int) -> list[tuple[str, float]]:
    """Return the most probable classes of one image with their probabilities.

    Args:
        model: the model, whose record may hold class names.
        logits: float array `(K,)`.
        count: how many.
    """
    import numpy as np

    shifted = np.exp(logits - logits.max())
    probabilities = shifted / shifted.sum()
    names = model.record.get("class_names") or []
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [
        (names[index] if index < len(names) else f"class {index}", float(probabilities[index]))
        for index in order
    ]
