"""Maps against masks: pixel accuracy, mIoU and mAP over a data set, and DINO's Jaccard index."""

from collections.abc import Iterable

import numpy as np

from kerasvit.errors import InputError
from kerasvit.evaluation.statistics import Sample
from kerasvit.saliency.normalise import normalise


class SegmentationScore:
    """Accumulates the scores of maps taken as masks of the object, over any number of pictures.

    A map is the object where it lies above its own mean. Accuracy and the intersection over union
    of object and background count the pixels of all pictures together; mAP is the mean over the
    pictures of the average precision, over object and background together.

    Source: Chefer, Gur and Wolf, CVPR 2021, section 4, after Guillaumin et al. 2014
    (https://arxiv.org/abs/2012.09838).
    """

    def __init__(self) -> None:
        self._right: list[tuple[int, int]] = []
        self._overlaps: list[tuple[np.ndarray, np.ndarray]] = []
        self._precisions: list[float] = []

    def add(self, values: np.ndarray, mask: np.ndarray) -> None:
        """Add one picture.

        Args:
            values: `(h, w)`, the map on the mask's pixels; pixels with NaN are left out.
            mask: bool `(h, w)`, the object.

        Raises:
            InputError: if the shapes differ, or no pixel is left.
        """
        counted = check_pair(values, mask)
        values, mask = values[counted], mask[counted].astype(bool)
        scaled = normalise(values[None], "minmax").values[0]
        object_pixels = scaled > scaled.mean()
        self._right.append((int((object_pixels == mask).sum()), mask.size))
        pairs = [(~object_pixels, ~mask), (object_pixels, mask)]
        intersection = np.array([(found & wanted).sum() for found, wanted in pairs])
        union = np.array([(found | wanted).sum() for found, wanted in pairs])
        self._overlaps.append((intersection, union))
        both = np.concatenate([1 - scaled, scaled])
        self._precisions.append(average_precision(both, np.concatenate([~mask, mask])))

    def samples(self) -> dict[str, Sample]:
        """Return what each picture adds to each score.

        Raises:
            InputError: if there are no pictures.
        """
        if not self._precisions:
            raise InputError("A segmentation score needs pictures. Received: none.")
        right, counted = np.array(self._right, float).T[..., None]
        intersection, union = np.array(self._overlaps, float).swapaxes(0, 1)
        return {
            "pixel_accuracy": Sample(right, counted),
            "miou": Sample(intersection, union),
            "map": Sample.of(np.array(self._precisions)),
        }

    def result(self) -> dict[str, float]:
        """Return `pixel_accuracy`, `miou`, `map`, each in [0, 1], and `n`, the pictures.

        Raises:
            InputError: if there are no pictures.
        """
        every = np.ones(len(self._precisions))
        figures = {name: float(one.figures(every)) for name, one in self.samples().items()}
        return {**figures, "n": len(self._precisions)}


def check_pair(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return which pixels count, or raise `InputError` if map and mask do not fit each other."""
    if np.shape(values) != np.shape(mask) or np.ndim(mask) != 2:
        raise InputError(
            "A mask is (h, w), and the map is given on its pixels. "
            f"Received: map {np.shape(values)}, mask {np.shape(mask)}. Place the map first."
        )
    counted = np.isfinite(values)
    if not counted.any():
        raise InputError("The map covers no pixel of the mask. Received: NaN alone.")
    return counted


def average_precision(scores: np.ndarray, wanted: np.ndarray) -> float:
    """Return the area under the curve of precision over recall, as a sum of steps.

    Args:
        scores: `(n,)`; equal ones are taken together.
        wanted: bool `(n,)`.

    Returns:
        In [0, 1]; 0 where nothing is wanted.
    """
    if not wanted.any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(wanted[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    precision = hits[ends] / (ends + 1)
    gained = np.diff(hits[ends], prepend=0) / hits[-1]
    return float((precision * gained).sum())


def jaccard(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return intersection over union of two bool masks; 0 where both are empty."""
    union = np.logical_or(found, wanted).sum()
    return float(np.logical_and(found, wanted).sum() / union) if union else 0.0


def dino_jaccard(masks: np.ndarray, objects: Iterable[np.ndarray]) -> float:
    """Return DINO's Jaccard index of one picture: the best head for each object, then the mean.

    The head is chosen by the answer, so this is an upper bound and no unsupervised score.

    Args:
        masks: bool `(H, h, w)`, what holds 60 % of each head's attention, see `mass_mask`.
        objects: bool `(h, w)`, at least one.

    Returns:
        In [0, 1].

    Raises:
        InputError: if there is no object.

    Source: Caron et al. 2021, figure 4 (https://arxiv.org/abs/2104.14294); the choice of the head:
    the author in issue 54 of facebookresearch/dino.
    """
    best = [max(jaccard(mask, wanted) for mask in masks) for wanted in objects]
    if not best:
        raise InputError("DINO's Jaccard index needs objects. Received: none in the picture.")
    return float(np.mean(best))
