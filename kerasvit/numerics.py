"""Formulas in NumPy that several rooms need."""

import numpy as np


def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the probabilities of logits, of their own dtype; the largest logit may be any number.

    Args:
        logits: finite; along `axis` the classes.
        axis: of the classes.
    """
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probability of each logit by itself, of its own dtype; no logit is too large."""
    # exp(-|x|) never overflows.
    power = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, power) / (1 + power)


def cubic(distance: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Return the weight of cubic convolution at a distance, in samples.

    Args:
        distance: of the sample from the point.
        a: the free parameter: -1/2 is exact for quadratics, and Pillow's; -3/4 is PyTorch's.

    Source: Keys 1981, "Cubic convolution interpolation for digital image processing", equation 4.
    """
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))
