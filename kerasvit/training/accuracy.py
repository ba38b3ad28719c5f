"""How many pictures a model classifies right: with its head, or by the neighbours of features."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.models.base import ScoreModel
from kerasvit.training.data.features import run_pictures
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.linear_probe import top_k_accuracy
from kerasvit.training.neighbours import neighbour_votes

Advance = Callable[[int], None]


def evaluate_accuracy(
    model: ScoreModel,
    preprocessing: Preprocessing,
    folder: PictureFolder,
    batch_size: int = 32,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Measure a classifier.

    Args:
        model: a kerasvit model with a head.
        preprocessing: the evaluation transform of its pictures.
        folder: the pictures, whose labels are numbers of the model's outputs; see
            `kerasvit.training.data.class_labels.scan_for`.
        batch_size: how many run at once.
        advance: called after each batch with the number of its pictures.

    Returns:
        A dict that JSON can hold: see `report_of`.

    Raises:
        InputError: if no picture can be read, or the outputs are not finite.
    """
    started = time.perf_counter()
    scores, read = run_pictures(model.classifying(), preprocessing, folder, batch_size, advance)
    return report_of(model.problem.class_logits(scores), folder, read, started)


def evaluate_neighbours(
    model: ScoreModel,
    preprocessing: Preprocessing,
    folder: PictureFolder,
    train: PictureFolder,
    k: int = 20,
    temperature: float = 0.07,
    batch_size: int = 32,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Measure features by the classes of their nearest neighbours; see `neighbour_votes`.

    Args:
        model: a kerasvit model; the features are those that its head would read.
        preprocessing: the evaluation transform of its pictures.
        folder: the pictures to classify.
        train: the pictures that vote, of the same classes.
        k: how many neighbours vote.
        temperature: float above 0.
        batch_size: how many pictures run at once.
        advance: called after each batch with the number of its pictures.

    Returns:
        A dict that JSON can hold: see `report_of`, and `neighbours`.

    Raises:
        InputError: if no picture can be read, the classes differ or features are not finite.
        UsageError: if `k` or `temperature` is out of its range.
    """
    if folder.class_names != train.class_names:
        raise InputError(
            "The pictures that vote must have the classes of the others. Received: "
            f"{train.class_names[:5]} and {folder.class_names[:5]}. Pass class_names to scan."
        )
    started = time.perf_counter()
    view, run = model.headless(), []
    for pictures in (train, folder):
        features, read = run_pictures(view, preprocessing, pictures, batch_size, advance)
        run.append((features.reshape(len(features), -1), read))
    (train_features, voting), (features, read) = run
    labels, num_classes = train.labels[voting], len(train.class_names)
    votes = neighbour_votes(features, train_features, labels, num_classes, k, temperature)
    own = {"k": k, "temperature": temperature, "n": len(voting), "broken": _broken(train)}
    return {**report_of(votes, folder, read, started), "neighbours": own}


def report_of(
    scores: np.ndarray, folder: PictureFolder, kept: np.ndarray, started: float
) -> dict[str, Any]:
    """Return the figures of a classification.

    Args:
        scores: `(n, K)`, the higher the likelier.
        folder: the pictures.
        kept: int array `(n,)`: which of the pictures these are.
        started: `time.perf_counter()` at the start.

    Returns:
        `n`; `top1` and, of more than five classes, `top5`: shares in [0, 1]; `classes`: of each
        class that has pictures its `n` and `top1`; `seconds`; `broken`: pictures that could not
        be read and were left out, `[path, reason]`.

    Raises:
        InputError: if a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise InputError(
            "The model's outputs must be finite. Received: NaN or infinity. "
            "Check the model's weights."
        )
    labels, names = folder.labels[kept], folder.class_names
    right = scores.argmax(axis=1) == labels
    classes = {
        names[label]: {"n": int(count), "top1": round(float(right[labels == label].mean()), 5)}
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
    }
    top5 = {"top5": round(top_k_accuracy(scores, labels, 5), 5)} if scores.shape[1] > 5 else {}
    return {
        "n": len(labels),
        "top1": round(float(right.mean()), 5),
        **top5,
        "classes": classes,
        "seconds": round(time.perf_counter() - started, 2),
        "broken": _broken(folder),
    }


def _broken(folder: PictureFolder) -> list[list[str]]:
    return [[path, reason] for path, reason in folder.broken]
