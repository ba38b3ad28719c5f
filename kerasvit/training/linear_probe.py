"""The best linear classifier of fixed features: multinomial logistic regression, to its optimum."""

import dataclasses
from collections.abc import Callable

import numpy as np

from kerasvit.errors import InputError, UsageError

# Each is tried on pictures that were held out, from strong to weak.
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
_HELD_OUT = 5
# No element of the gradient is larger at the optimum.
_TOLERANCE = 1e-6

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier.

    Args:
        kernel: float64 array `(D, K)`.
        bias: float64 array `(K,)`.
        penalty: the weight of the squared kernel that it was fitted with.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return float64 logits `(n, K)` of features `(n, D)`."""
        return np.asarray(features, np.float64) @ self.kernel + self.bias


def fit_linear_probe(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    penalty: float | None = None,
    seed: int = 0,
    max_iterations: int = 500,
) -> LinearProbe:
    """Fit a linear classifier to features; the same data give the same one on every backend.

    The mean cross-entropy plus `penalty / 2` times the squared kernel is minimised, where each
    feature is first brought to mean 0 and the standard deviation 1. The result takes features as
    they are. The bias is not penalised.

    Args:
        features: float array `(n, D)`, finite.
        labels: int array `(n,)`, in [0, num_classes).
        num_classes: number of classes K, at least 2.
        penalty: float above 0. None tries `PENALTIES` on a fifth of each class that is held out,
            and fits the best one to all.
        seed: of the choice of that fifth.
        max_iterations: of L-BFGS, at most.

    Raises:
        InputError: if the shapes do not fit or a feature is not finite.
        UsageError: if `penalty` is not above 0, there are fewer than two classes, or SciPy is not
            installed.
    """
    features, labels = _checked(features, labels, num_classes)
    if penalty is None:
        penalty = _best_penalty(features, labels, num_classes, seed, max_iterations)
    elif not penalty > 0:
        raise UsageError(f"A linear probe's penalty is above 0. Received: penalty={penalty!r}.")
    return _fit(features, labels, num_classes, penalty, max_iterations)


def fit_decisions(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> LinearProbe:
    """Fit a linear classifier that decides about each label by itself, by the sigmoid of its logit.

    Each is a classifier of two classes, see `fit_linear_probe`, the difference of whose logits has
    the same probabilities. A label that all pictures have, or none, is decided by its frequency.

    Args:
        features: float array `(n, D)`, finite.
        labels: int array `(n, K)` of 0 and 1.
        seed: as for `fit_linear_probe`.

    Returns:
        A classifier with K logits; `penalty` is the mean of those that were chosen.
    """
    kernels, biases, penalties = [], [], []
    for column in np.asarray(labels).T:
        if len(np.unique(column)) == 1:
            kernels.append(np.zeros(features.shape[1]))
            biases.append(float(np.log((column.sum() + 1) / (len(column) - column.sum() + 1))))
            continue
        probe = fit_linear_probe(features, column, 2, seed=seed)
        kernels.append(probe.kernel[:, 1] - probe.kernel[:, 0])
        biases.append(float(probe.bias[1] - probe.bias[0]))
        penalties.append(probe.penalty)
    mean = float(np.mean(penalties)) if penalties else 0.0
    return LinearProbe(np.stack(kernels, axis=1), np.array(biases), mean)


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Return the share of rows whose label is among the `k` classes of the highest scores.

    Args:
        scores: `(n, K)`, n at least 1: logits, probabilities or votes. Of equal ones the class of
            the lower number comes first.
        labels: int array `(n,)`.
        k: how many classes count.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(labels)[:, None]).any(axis=1).mean())


def _checked(features, labels, num_classes) -> tuple[np.ndarray, np.ndarray]:
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if features.ndim != 2 or labels.shape != (len(features),) or not len(features):
        raise InputError(
            "A linear probe needs features (n, D) and one label for each, n at least 1. "
            f"Received: shapes {features.shape} and {labels.shape}."
        )
    if num_classes < 2:
        raise UsageError(f"There must be at least 2 classes. Received: {num_classes}.")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(
            f"Labels lie in [0, {num_classes}). Received: {labels.min()} to {labels.max()}."
        )
    if not np.isfinite(features).all():
        raise InputError(
            "Features must be finite. Received: NaN or infinity. Check the model's weights."
        )
    return features, labels.astype(np.intp)


def _best_penalty(features, labels, num_classes, seed, max_iterations) -> float:
    held = _held_out(labels, seed)
    if not held.any() or held.all():
        return PENALTIES[1]
    accuracies: dict[float, float] = {}
    start = None
    for penalty in PENALTIES:
        train = features[~held], labels[~held]
        probe = _fit(*train, num_classes, penalty, max_iterations, start)
        accuracies[penalty] = top_k_accuracy(probe.logits(features[held]), labels[held])
        start = probe
    # Of equal ones the first: the strongest.
    return max(accuracies, key=accuracies.__getitem__)


def _held_out(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return a mask of a fifth of each class; of a class with fewer than five, none."""
    random = np.random.default_rng(seed)
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        mask[members[: len(members) // _HELD_OUT]] = True
    return mask


def _fit(features, labels, num_classes, penalty, max_iterations, start=None) -> LinearProbe:
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-12 * (1 + np.abs(mean)), scale, 1.0)
    scaled = (features - mean) / scale
    parameters = np.zeros((features.shape[1] + 1, num_classes))
    if start is not None:
        parameters[:-1] = start.kernel * scale[:, None]
        parameters[-1] = start.bias + mean @ start.kernel
    objective = _cross_entropy(scaled, labels, num_classes, penalty)
    # The gradient alone decides where it ends.
    options = {"maxiter": max_iterations, "gtol": _TOLERANCE, "ftol": 0.0}
    optimum = import_minimize()(
        objective, parameters.ravel(), jac=True, method="L-BFGS-B", options=options
    )
    best = optimum.x.reshape(parameters.shape)
    kernel = best[:-1] / scale[:, None]
    return LinearProbe(kernel, best[-1] - mean @ kernel, penalty)


def _cross_entropy(features, labels, num_classes, penalty) -> Objective:
    """Return the objective and its gradient, as a function of kernel and bias in one vector."""
    rows = np.arange(len(labels))

    def evaluate(vector):
        parameters = vector.reshape(-1, num_classes)
        logits = features @ parameters[:-1] + parameters[-1]
        logits -= logits.max(axis=1, keepdims=True)
        residual = np.exp(logits)
        total = residual.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - logits[rows, labels])
        residual /= total
        residual[rows, labels] -= 1.0
        gradient = np.empty_like(parameters)
        gradient[:-1] = features.T @ residual / len(labels) + penalty * parameters[:-1]
        gradient[-1] = residual.mean(axis=0)
        return loss + penalty / 2 * np.sum(parameters[:-1] ** 2), gradient.ravel()

    return evaluate


def import_minimize() -> Callable:
    """Return `scipy.optimize.minimize`.

    Raises:
        UsageError: if SciPy is not installed.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise UsageError(
            "The best linear classifier is found with SciPy. Received: not installed. "
            'Install it with: pip install "kerasvit[train]"'
        ) from error
    return minimize
