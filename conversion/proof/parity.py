"""Proof of a conversion: logits, features and score maps against the source's own forward pass."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasvit.conversion.proof.outputs import MAX_SCORE_BYTES, Outputs, Reference, score_bytes
from kerasvit.errors import InputError
from kerasvit.layout import STAGES, BlockKey
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
        features: likewise for the tokens after the last norm; None where the reference keeps them.
        scores: largest absolute difference of each score map that the reference gives, by its key.
        argmax_equal: whether the largest logit of every image is the same one.
        rounding: largest difference of the reference's own score maps between float32 and float64,
            measured where a map misses its bar; sharp attention amplifies rounding on both sides.
        reference: what the model was compared with.
    """

    image_shape: tuple[int, int]
    logits: float
    features: float | None
    scores: dict[str, float]
    argmax_equal: bool
    rounding: float = 0.0
    reference: str = "timm"

    @property
    def largest_score_difference(self) -> float:
        """The largest absolute difference over all score maps."""
        return max(self.scores.values(), default=0.0)

    @property
    def summary(self) -> str:
        """The figures in one line."""
        rounding = f" (it rounds by {self.rounding:.1e} itself)" if self.rounding else ""
        features = "" if self.features is None else f" and features within {self.features:.1e}"
        scores = (
            f"{len(self.scores)} score maps within {self.largest_score_difference:.1e}{rounding}"
            if self.scores
            else "score maps not compared"
        )
        return f"logits within {self.logits:.1e}{features} of the largest value, {scores}."

    def rows(self) -> list[tuple[str, str, float, float, bool]]:
        """Return every figure: stage, map, difference, bar, and whether it is within its bar."""
        bar = max(SCORE_TOLERANCE, 2 * self.rounding)
        figures = [
            ("head", "logits", self.logits, FEATURE_TOLERANCE),
            *([] if self.features is None else [_features_row(self.features)]),
            *(
                (STAGES[BlockKey.parse(key).stage], key, value, bar)
                for key, value in self.scores.items()
            ),
        ]
        rows = [(*row, row[2] <= row[3]) for row in figures]
        return [*rows, ("head", "argmax", float(not self.argmax_equal), 0.0, self.argmax_equal)]

    def check(self, label: str) -> None:
        """Raise `InputError` unless every figure is within its bar."""
        if all(row[-1] for row in self.rows()):
            return
        raise InputError(
            f"The converted model does not agree with the source of {label}: logits and features "
            f"must be within {FEATURE_TOLERANCE}, scores within {SCORE_TOLERANCE} or twice the "
            f"reference's own rounding. Received: {self.summary[:-1]}, of {self.reference}. "
            "Nothing was written; if all that is said of the network is right, report this"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able values."""
        return dataclasses.asdict(self)


def measure(
    model: ScoreModel, reference: Reference, report: Callable[[str], None] = lambda line: None
) -> Parity:
    """Measure how far a model is from a reference, on random images of the reference's size.

    Args:
        model: the converted model.
        reference: a network with the source's weights that was not made here.
        report: called with each line that says what is being done.

    Raises:
        NoReference: if the reference can't run.
    """
    images, blocks = _images_and_blocks(model, reference.image_size)
    pictures = f"{len(images)} random images of {images.shape[1]}x{images.shape[2]} pixels"
    report(f"Running {reference.label} on {pictures} ...")
    expected = reference.run(images)
    report("Running the converted model on them ...")
    parity = compare(model, expected, images, blocks)
    if parity.largest_score_difference > SCORE_TOLERANCE:
        report("Running the reference once more, in float64, to tell rounding from a fault ...")
        parity = dataclasses.replace(parity, rounding=_rounding(reference, expected, images))
    return dataclasses.replace(parity, reference=reference.label)


def _images_and_blocks(
    model: ScoreModel, image_size: tuple[int, int]
) -> tuple[np.ndarray, list[int] | None]:
    """Return images, and the blocks whose scores they allow to keep; None for all."""
    batch_size = 2
    if score_bytes(model, image_size, batch_size) > MAX_SCORE_BYTES:
        batch_size = 1
    shape = (batch_size, *image_size, model.image_shape[2])
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    needed = score_bytes(model, image_size, batch_size)
    if needed <= MAX_SCORE_BYTES:
        return images, None
    count = max(1, model.num_layers * MAX_SCORE_BYTES // needed)
    return images, sorted({int(i) for i in np.linspace(0, model.num_layers - 1, count)})


def _rounding(reference: Reference, expected: Outputs, images: np.ndarray) -> float:
    """Measure how far the reference's score maps are from its own in float64."""
    exact = reference.run(images.astype("float64")).scores
    return max(_difference(exact[key], expected.scores[key]) for key in exact)


def compare(
    model: ScoreModel, expected: Outputs, images: np.ndarray, blocks: list[int] | None = None
) -> Parity:
    """Run a model on images and compare it with the outputs of a reference.

    Args:
        model: a model of this package.
        expected: what the reference computes; scores that it does not give are left out.
        images: float32 `(B, height, width, C)`.
        blocks: numbers of the self-attention blocks whose scores are compared; None for all.

    Raises:
        InputError: if the reference gives scores that the model has not.
    """
    from keras import ops

    features = ops.convert_to_numpy(model.forward_features(images))
    logits, sa_scores, ca_scores = model.with_attention("full", blocks=blocks)(images)
    logits = ops.convert_to_numpy(logits)
    scores = {key: ops.convert_to_numpy(value) for key, value in {**sa_scores, **ca_scores}.items()}
    if blocks is None and set(expected.scores) - set(scores):
        raise InputError(f"The reference has other score maps: {sorted(expected.scores)[:3]}")
    compared = [key for key in scores if key in expected.scores]
    return Parity(
        image_shape=tuple(images.shape[1:3]),
        logits=_relative(logits, expected.logits),
        features=None if expected.features is None else _relative(features, expected.features),
        scores={key: _difference(scores[key], expected.scores[key]) for key in compared},
        argmax_equal=bool((logits.argmax(-1) == expected.logits.argmax(-1)).all()),
    )


def _features_row(difference: float) -> tuple[str, str, float, float]:
    return "tokens", "features", difference, FEATURE_TOLERANCE


def _difference(values: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference; arrays of other shapes are infinitely far."""
    return float(np.abs(values - expected).max()) if values.shape == expected.shape else math.inf


def _relative(values: np.ndarray, expected: np.ndarray) -> float:
    return _difference(values, expected) / max(float(np.abs(expected).max()), 1e-12)
