"""How sure a mean over pictures is: standard errors and paired bootstrap intervals."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000
PROTOCOL = (
    "Efron and Tibshirani 1993: 95 % percentile intervals over bootstrap resamples of the pictures "
    "(of the mosaics in grid pointing), the same resamples for all methods, so that differences "
    "are paired; standard error of the mean, of ratios that of the bootstrap"
)


@dataclasses.dataclass(frozen=True)
class Sample:
    """What each picture adds to a figure: the mean over k of sums of parts over sums of wholes.

    Args:
        parts: `(n, k)`, for each picture.
        wholes: the same shape; ones for a plain mean.
    """

    parts: np.ndarray
    wholes: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Sample":
        """Return the sample of a plain mean of values `(n,)`."""
        column = np.asarray(values, np.float64).reshape(-1, 1)
        return cls(column, np.ones_like(column))

    @property
    def is_mean(self) -> bool:
        """Whether the figure is the mean of the pictures' own."""
        return self.parts.shape[1] == 1 and bool((self.wholes == 1).all())

    def figures(self, weights: np.ndarray) -> np.ndarray:
        """Return the figure for how often each picture counts, `(..., n)`, as `(...)`."""
        parts, wholes = weights @ self.parts, weights @ self.wholes
        # What no picture of a resample holds, such as a class, does not count there.
        present = wholes > 0
        ratios = np.divide(parts, wholes, out=np.zeros_like(parts), where=present)
        return ratios.sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Resamples of pictures, the same for all that is measured on equally many.

    Args:
        seed: of the resamples.
        resamples: how many.
    """

    seed: int = 0
    resamples: int = RESAMPLES

    @functools.cache  # noqa: B019 - the object lives as long as one report
    def weights(self, count: int) -> np.ndarray:
        """Return how often each picture counts in each resample, `(resamples, count)`."""
        generator = np.random.default_rng(self.seed)
        return generator.multinomial(count, np.full(count, 1 / count), self.resamples).astype(float)

    def summary(self, sample: Sample) -> dict[str, Any]:
        """Return `n`, `mean`, `standard_error` and `interval`; the last None for one picture."""
        count = len(sample.parts)
        mean = float(sample.figures(np.ones(count)))
        if count < 2:
            return {"n": count, "mean": mean, "standard_error": None, "interval": None}
        drawn = sample.figures(self.weights(count))
        error = drawn.std(ddof=1)
        if sample.is_mean:
            error = sample.parts.std(ddof=1) / np.sqrt(count)
        return {
            "n": count,
            "mean": mean,
            "standard_error": float(error),
            "interval": interval(drawn),
        }

    def difference(self, sample: Sample, reference: Sample) -> dict[str, Any]:
        """Return `mean` and `interval` of a figure less that of a reference, picture by picture."""
        count = len(sample.parts)
        everything = np.ones(count)
        mean = float(sample.figures(everything) - reference.figures(everything))
        if count < 2:
            return {"mean": mean, "interval": None}
        weights = self.weights(count)
        return {
            "mean": mean,
            "interval": interval(sample.figures(weights) - reference.figures(weights)),
        }

    def band(self, values: np.ndarray) -> list[list[float]] | None:
        """Return the interval of the mean at each point of curves `(n, S)`: low, high."""
        if len(values) < 2:
            return None
        drawn = self.weights(len(values)) @ np.asarray(values, np.float64) / len(values)
        low, high = np.quantile(drawn, _TAILS, axis=0)
        return [low.round(5).tolist(), high.round(5).tolist()]


_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def interval(drawn: np.ndarray) -> list[float]:
    """Return the ends between which 95 % of the resamples' figures lie."""
    low, high = np.quantile(drawn, _TAILS)
    return [float(low), float(high)]


def summarise(
    samples: Mapping[str, Mapping[str, Sample]], reference: str, bootstrap: Bootstrap
) -> dict[str, dict[str, Any]]:
    """Return the statistics of every figure of every method.

    Args:
        samples: by method and figure.
        reference: the method that the others are compared with.
        bootstrap: the resamples.

    Returns:
        By method and figure what `Bootstrap.summary` returns, and for the methods but the reference
        `difference`.
    """
    found: dict[str, dict[str, Any]] = {}
    for method, figures in samples.items():
        found[method] = {}
        for name, sample in figures.items():
            entry = bootstrap.summary(sample)
            other = samples[reference].get(name)
            if method != reference and other is not None:
                entry["difference"] = bootstrap.difference(sample, other)
            found[method][name] = entry
    return found
