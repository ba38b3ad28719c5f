"""Classification by nearest neighbours, as DINO evaluates features that have no head."""

import math

import numpy as np

from kerasvit.errors import InputError, UsageError

_ROWS_AT_ONCE = 500


def neighbour_votes(
    features: np.ndarray,
    train_features: np.ndarray,
    train_labels: np.ndarray,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
) -> np.ndarray:
    """Return each picture's votes for the classes, cast by its nearest training pictures.

    Each of the `k` training pictures of the highest cosine similarity `s` votes for its class
    with the weight `exp(s / temperature)`.

    Args:
        features: float array `(n, D)`.
        train_features: float array `(m, D)`.
        train_labels: int array `(m,)`, in [0, num_classes).
        num_classes: number of classes K.
        k: how many neighbours vote; all m where there are fewer.
        temperature: float above 0; the smaller, the more the nearest ones decide.

    Returns:
        float64 array `(n, K)`, each row sums to 1. The class of the most votes is the prediction.

    Raises:
        InputError: if the shapes do not fit, or a feature is no finite number or zero altogether.
        UsageError: if `k` is below 1 or `temperature` not above 0.

    Source: Caron et al. 2021, appendix (https://arxiv.org/abs/2104.14294), dino/eval_knn.py, after
    Wu et al. 2018, section 3.4 (https://arxiv.org/abs/1805.01978).
    """
    if k < 1 or not 0 < temperature < math.inf:
        raise UsageError(
            "Neighbours: k is at least 1, and temperature a finite number above 0. "
            f"Received: k={k!r}, temperature={temperature!r}."
        )
    labels = _checked_labels(train_labels, train_features, num_classes)
    train = _directions("train_features", train_features)
    queries = _directions("features", features)
    if train.shape[1] != queries.shape[1]:
        raise InputError(
            "Both sets of features have one width. "
            f"Received: {queries.shape[1]} and {train.shape[1]}. Extract both with one model."
        )
    parts = [
        _votes(
            queries[start : start + _ROWS_AT_ONCE] @ train.T, labels, num_classes, k, temperature
        )
        for start in range(0, len(queries), _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, num_classes))


def _votes(similarity, labels, num_classes, k, temperature) -> np.ndarray:
    k = min(k, similarity.shape[1])
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    similarities = np.take_along_axis(similarity, nearest, axis=1).astype(np.float64)
    # Relative to the nearest one: the same shares, and no overflow at low temperatures.
    weights = np.exp((similarities - similarities.max(axis=1, keepdims=True)) / temperature)
    votes = np.zeros((len(similarity), num_classes))
    rows = np.arange(len(similarity))[:, None]
    np.add.at(votes, (rows, labels[nearest]), weights)
    return votes / votes.sum(axis=1, keepdims=True)


def _directions(name: str, features: np.ndarray) -> np.ndarray:
    """Return features of length 1, float32."""
    features = np.asarray(features, np.float32)
    if features.ndim != 2:
        raise InputError(f"{name} has two axes, (n, D). Received: shape {features.shape}.")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise InputError(
            f"Every row of {name} is finite and not zero. Received: a row that is not. "
            "Check the model's weights."
        )
    return features / lengths


def _checked_labels(labels, features, num_classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if not len(labels) or labels.shape != (len(features),):
        raise InputError(
            "There is one label for each training feature, and at least one. "
            f"Received: {labels.shape} labels, {len(features)} features."
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(
            f"Labels lie in [0, {num_classes}). Received: {labels.min()} to {labels.max()}."
        )
    return labels.astype(np.intp)
