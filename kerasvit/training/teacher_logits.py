"""A teacher's logits, computed once for all pictures: what shares in their labels."""

import os
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from kerasvit.files import atomic_path
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.models.base import ScoreModel
from kerasvit.training.mapped_files import write_array
from kerasvit.training.teacher_features import run_filled


def precompute_logits(
    teacher: ScoreModel,
    read: Callable[[int], np.ndarray],
    count: int,
    preprocessing: Preprocessing,
    path: str | os.PathLike[str],
    *,
    batch_size: int = 64,
    progress: bool = False,
) -> None:
    """Run a teacher over all pictures and keep its logits in a `.npy` file, float32 `(N, K)`.

    They are means of a picture's and of its mirror image's, as a student sees either.

    Args:
        teacher: a model with a head; its first output is kept.
        read: function from a picture's number to its pixels, uint8 `(h, w, 3)`.
        count: number of pictures, at least one.
        preprocessing: how a picture becomes the teacher's input.
        path: file to write; one that is there is replaced.
        batch_size: int. Pictures at a time.
        progress: whether to show a bar.

    Raises:
        OutputError: if the file cannot be written.
    """
    view = teacher.with_attention("none")
    said = []
    for start in tqdm(range(0, count, batch_size), disable=not progress, unit="batch"):
        numbers = range(start, min(start + batch_size, count))
        pixels = np.stack([preprocessing.evaluate(read(number)).pixels for number in numbers])
        views = [run_filled(view, pixels, batch_size, mirror)[0] for mirror in (False, True)]
        said.append(np.mean(views, axis=0)[: len(pixels)])
    with atomic_path(path, overwrite=True) as temporary:
        write_array(temporary, np.concatenate(said).astype(np.float32))
