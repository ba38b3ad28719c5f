"""Methods against the masks of a data set's objects, on the pixels of the photographs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.evaluation.segmentation import SegmentationScore, dino_jaccard
from kerasvit.evaluation.statistics import Bootstrap, Sample, summarise
from kerasvit.images.geometry import Geometry
from kerasvit.saliency.explain import explain, explain_blocks
from kerasvit.saliency.mass import mass_mask
from kerasvit.saliency.targets import Target

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

BACKGROUND, VOID = 0, 255

PROTOCOLS = {
    "segmentation": "Chefer et al. 2021: the map on the photograph's pixels, the object where it "
    "lies above its mean; pixel accuracy and mIoU of object and background over all pictures, "
    "mean average precision over the pictures; pixels that the model did not see are left out",
    "dino_jaccard": "Caron et al. 2021, figure 4: masks of 60 % of each head's attention; for each "
    "object the best head, mean over objects, then pictures; the head is chosen by the answer, so "
    "this is an upper bound",
}


def objects_of(labels: np.ndarray) -> list[np.ndarray]:
    """Return the mask of each object in a picture of labels: every value but 0 and 255 (void).

    Args:
        labels: integers `(H, W)`, as in PASCAL VOC's object masks.

    Raises:
        InputError: if the array has other axes, or names no object.
    """
    if np.ndim(labels) != 2:
        raise InputError(
            "A mask holds one number for each pixel: 0 background, 255 void, others the objects. "
            f"Received: shape {np.shape(labels)}. Save it as a picture of one channel."
        )
    numbers = [number for number in np.unique(labels) if number not in (BACKGROUND, VOID)]
    if not numbers:
        raise InputError(
            "A mask names at least one object. Received: background and void alone. "
            "Leave this picture out."
        )
    return [labels == number for number in numbers]


def evaluate_masks(
    model: "ScoreModel",
    examples: Iterable[tuple[np.ndarray, Geometry, np.ndarray]],
    methods: Sequence[str],
    *,
    target: Target = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    mass: float = 0.6,
    seed: int = 0,
    reference: str | None = None,
) -> dict[str, Any]:
    """Measure how well maps outline the objects, one picture after the other.

    Args:
        model: a kerasvit model.
        examples: for each picture its preprocessed pixels `(h, w, 3)`, its geometry, and labels
            `(H, W)` on the photograph, see `objects_of`.
        methods: of `kerasvit.saliency.METHODS`.
        target: what is explained, see `make_objective`.
        options: a method's options, by method.
        mass: the share of the attention in DINO's masks.
        seed: of the bootstrap.
        reference: the method that the others are compared with; None for the first.

    Returns:
        A dict that JSON can hold: `n`, `protocols`, `methods` with the scores of each, for
        `"attention"` also `dino_jaccard`, and `statistics` by method and score.

    Raises:
        InputError: if there is no picture, or a mask does not fit its photograph.
        UsageError: as `explain`.
    """
    scores = {method: SegmentationScore() for method in methods}
    overlaps: list[float] = []
    for pixels, geometry, labels in examples:
        objects = objects_of(labels)
        void = labels == VOID
        for method in methods:
            own = (options or {}).get(method, {})
            result = explain(
                model, pixels[None], method, target=target, geometries=[geometry], **own
            )
            values = result.place(0)
            scores[method].add(np.where(void, np.nan, values), labels != BACKGROUND)
        if "attention" in methods:
            overlaps.append(_jaccard(model, pixels, geometry, objects, mass))
    found: dict[str, Any] = {method: score.result() for method, score in scores.items()}
    samples = {method: score.samples() for method, score in scores.items()}
    if overlaps:
        samples["attention"]["dino_jaccard"] = Sample.of(np.array(overlaps))
        found["attention"]["dino_jaccard"] = float(np.mean(overlaps))
    names = ["segmentation"] + ["dino_jaccard"] * bool(overlaps)
    return {
        "n": next(iter(found.values()))["n"],
        "protocols": {name: PROTOCOLS[name] for name in names},
        "statistics": summarise(samples, reference or methods[0], Bootstrap(seed)),
        "methods": found,
    }


def _jaccard(
    model: "ScoreModel",
    pixels: np.ndarray,
    geometry: Geometry,
    objects: list[np.ndarray],
    mass: float,
) -> float:
    """Return DINO's index: the heads' masks on the grid, laid on the photograph patch by patch."""
    block = next(iter(explain_blocks(model, pixels[None]).values()))
    masks = mass_mask(block.values[0], mass).astype(np.float32)
    return dino_jaccard(geometry.place(masks, 0, "nearest") > 0, objects)
