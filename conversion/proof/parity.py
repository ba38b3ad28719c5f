"""Proof of a conversion: logits, features and every score map against timm's own forward pass."""

import dataclasses
import importlib.util
from typing import Any

import numpy as np

from kerasvit.conversion.architecture.detected import Detected
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.proof.timm.package import import_timm
from kerasvit.errors import InputError
from kerasvit.models.base import ScoreModel

FEATURE_TOLERANCE = 1e-4
SCORE_TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far a model is from its reference, on the same random images.

    Args:
        image_shape: `(height, width)` of the images.
        logits: largest difference of the logits, relative to the largest logit; for a model without
            a head, of the pooled feature.
        features: likewise for the tokens after the last norm.
        scores: largest absolute difference of each score map, by its key.
        argmax_equal: whether the largest logit of every image is the same one.
        rounding: largest difference of the reference's own score maps between float32 and float64,
            measured where a map misses its bar; sharp attention amplifies rounding on both sides.
    """

    image_shape: tuple[int, int]
    logits: float
    features: float
    scores: dict[str, float]
    argmax_equal: bool
    rounding: float = 0.0

    @property
    def largest_score_difference(self) -> float:
        """The largest absolute difference over all score maps."""
        return max(self.scores.values(), default=0.0)

    @property
    def summary(self) -> str:
        """The figures in one line."""
        rounding = f" (timm rounds by {self.rounding:.1e} itself)" if self.rounding else ""
        return (
            f"logits within {self.logits:.1e} and features within {self.features:.1e} of the "
            f"largest value, {len(self.scores)} score maps within "
            f"{self.largest_score_difference:.1e}{rounding}."
        )

    def rows(self) -> list[tuple[str, str, float, float, bool]]:
        """Return every figure: stage, map, difference, bar, and whether it is within its bar."""
        bar = max(SCORE_TOLERANCE, 2 * self.rounding)
        stages = {"sa": "self-attention", "ca": "class attention"}
        figures = [
            ("head", "logits", self.logits, FEATURE_TOLERANCE),
            ("tokens", "features", self.features, FEATURE_TOLERANCE),
            *((stages[key[:2]], key, value, bar) for key, value in self.scores.items()),
        ]
        rows = [(*row, row[2] <= row[3]) for row in figures]
        return [*rows, ("head", "argmax", float(not self.argmax_equal), 0.0, self.argmax_equal)]

    def check(self, label: str) -> None:
        """Raise `InputError` unless every figure is within its bar."""
        if all(row[-1] for row in self.rows()):
            return
        raise InputError(
            f"The converted model does not agree with the source of {label}: logits and features "
            f"must be within {FEATURE_TOLERANCE}, scores within {SCORE_TOLERANCE} or twice timm's "
            f"own rounding. Received: {self.summary} Nothing was written; please report this "
            "checkpoint"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able values."""
        return dataclasses.asdict(self)


def reference_available() -> bool:
    """Tell whether torch and timm are installed."""
    return all(importlib.util.find_spec(name) for name in ("torch", "timm"))


def verify_model(model: ScoreModel, checkpoint: Checkpoint, detected: Detected) -> Parity:
    """Compare a converted model with timm's, as `measure_model` does, and insist on the bars.

    Args:
        model: the converted model.
        checkpoint: the unwrapped checkpoint that it came from.
        detected: what was detected in it.

    Returns:
        The figures, within the bars.

    Raises:
        InputError: if a figure is beyond its bar.
        UsageError: if timm or torch is missing.
    """
    parity = measure_model(model, checkpoint, detected)
    parity.check(checkpoint.label)
    return parity


def measure_model(model: ScoreModel, checkpoint: Checkpoint, detected: Detected) -> Parity:
    """Measure how far a model is from timm's model of the same checkpoint.

    timm reads the checkpoint through its own filter, so the names are mapped twice, independently.
    Two random images of another aspect ratio than the pretrained one show a swap of rows and
    columns; both sides resample their position embeddings by timm's rule.

    Args:
        model: the converted model.
        checkpoint: the unwrapped checkpoint that it came from.
        detected: what was detected in it.

    Raises:
        UsageError: if timm or torch is missing.
    """
    from kerasvit.conversion.proof.timm.model import TimmReference

    rows, columns = model.patch_size
    image_shape = (5 * rows, 7 * columns)
    images = np.random.default_rng(0).normal(size=(2, *image_shape, 3)).astype("float32")
    reference = TimmReference(import_timm(), model, checkpoint, image_shape)
    expected = reference.run(images)
    parity = compare(model, expected, images)
    if parity.largest_score_difference > SCORE_TOLERANCE:
        parity = dataclasses.replace(parity, rounding=_rounding(reference, expected, images))
    return parity


def _rounding(reference, expected: dict[str, Any], images: np.ndarray) -> float:
    """Measure how far the reference's score maps are from its own in float64."""
    exact = reference.run(images.astype("float64"))["scores"]
    return max(_largest(exact[key] - expected["scores"][key]) for key in exact)


def compare(model: ScoreModel, expected: dict[str, Any], images: np.ndarray) -> Parity:
    """Run a model on images and compare it with the outputs of a reference.

    Args:
        model: a model of this package.
        expected: "logits", "features" and "scores" (by our keys), NumPy arrays.
        images: float32 `(B, height, width, C)`.
    """
    from keras import ops

    with _timm_resampling(model):
        features = ops.convert_to_numpy(model.forward_features(images))
        logits, sa_scores, ca_scores = model.with_attention("full")(images)
    logits = ops.convert_to_numpy(logits)
    scores = {key: ops.convert_to_numpy(value) for key, value in {**sa_scores, **ca_scores}.items()}
    if set(scores) != set(expected["scores"]):
        raise InputError(f"The reference has other score maps: {sorted(expected['scores'])[:3]}")
    return Parity(
        image_shape=tuple(images.shape[1:3]),
        logits=_relative(logits, expected["logits"]),
        features=_relative(features, expected["features"]),
        scores={key: _largest(scores[key] - expected["scores"][key]) for key in scores},
        argmax_equal=bool((logits.argmax(-1) == expected["logits"].argmax(-1)).all()),
    )


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def _relative(values: np.ndarray, expected: np.ndarray) -> float:
    return _largest(values - expected) / max(_largest(expected), 1e-12)


class _timm_resampling:
    """Give a model timm's rule for other image sizes inside the block."""

    def __init__(self, model: ScoreModel):
        self.position = model.position

    def __enter__(self):
        self.rule = self.position.resampling
        self.position.resampling = "bicubic_antialias"

    def __exit__(self, *exception):
        self.position.resampling = self.rule
