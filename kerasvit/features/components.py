"""Principal components of the patches of several pictures: the foreground, and colours for it."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.features.patches import PatchFeatures, check_pictures
from kerasvit.saliency.probes.features import principal_components

FOREGROUNDS = ("auto", "high", "low")
_COLOURS = 3
# The share of each end of a component that is cut off before it becomes a colour.
_PERCENTILES = (1.0, 99.0)


@dataclasses.dataclass(frozen=True, eq=False)
class FeaturePCA:
    """The components of several pictures' patches.

    Args:
        first: by picture `(rows, columns)`: the first component of all patches, in standard
            deviations from their mean, high on the foreground.
        masks: by picture bool `(rows, columns)`: the foreground.
        colours: by picture `(rows, columns, 3)` in [0, 1]: the three components of the foreground's
            patches; NaN outside of it.
        explained: shares of the variance: of all patches by the first component, and of the
            foreground's by its three, `(4,)`.
        component: the first one, `(D,)`, of length 1.
        foreground_components: `(3, D)`, those of the foreground.
    """

    first: list[np.ndarray]
    masks: list[np.ndarray]
    colours: list[np.ndarray]
    explained: np.ndarray
    component: np.ndarray
    foreground_components: np.ndarray


def pca(
    pictures: Sequence[PatchFeatures], *, threshold: float = 0.0, foreground: str = "auto"
) -> FeaturePCA:
    """Split patches into foreground and background, and colour the foreground by what it is.

    One principal component of all pictures' patches together tells the foreground: the patches
    above a threshold. Three more, of the foreground's patches alone, become red, green and blue, so
    that equal colours mean the same in every picture.

    A component has no direction of its own. Which end is the foreground is told by the borders of
    the pictures, most of which show the background; `foreground` overrules it. The sign of each
    colour's component is such that its largest loading is positive.

    Args:
        pictures: of one model, at least one; pictures of the same kind of thing tell most.
        threshold: in standard deviations of the first component from its mean; lower ones keep
            more.
        foreground: which end of the first component it is: `"auto"`, or, with the component's
            largest loading taken as positive, `"high"` or `"low"`.

    Raises:
        InputError: if the pictures' features differ in width, or the foreground has fewer than 4
            patches.
        UsageError: if an argument is out of range.

    Source: Oquab et al. 2023, figure 1 and section 7.5 (https://arxiv.org/abs/2304.07193): "we keep
    only patches with a positive value after we threshold the first component", and a second PCA of
    those; the threshold 0 is theirs. The borders as background: Wei et al., ECCV 2012, section 2.
    """
    check_pictures(pictures)
    _check(threshold, foreground)
    rows = np.concatenate([picture.rows for picture in pictures]).astype(np.float64)
    centred = rows - rows.mean(axis=0)
    (component,) = principal_components(rows, 1)
    projected = centred @ component
    spread = projected.std()
    scaled = projected / spread if spread > 0 else projected
    first = _divided(scaled, pictures)
    if foreground == "low" or (foreground == "auto" and _borders_are_high(first)):
        component, first = -component, [-values for values in first]
    masks = [values > threshold for values in first]
    inside = np.concatenate([mask.reshape(-1) for mask in masks])
    components, levels, shares = _colour(rows[inside], len(rows))
    colours = np.full((len(rows), _COLOURS), np.nan)
    colours[inside] = levels
    explained = np.array([_share(projected, centred), *shares])
    return FeaturePCA(first, masks, _divided(colours, pictures), explained, component, components)


def _colour(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return three components of the foreground, its levels in [0, 1], and shares of variance."""
    if len(rows) <= _COLOURS:
        raise InputError(
            f"The foreground needs {_COLOURS + 1} patches at least to be coloured. Received: "
            f"{len(rows)} of {count} patches. Lower the threshold, or choose the other end of the "
            "component as the foreground."
        )
    components = principal_components(rows, _COLOURS)
    centred = rows - rows.mean(axis=0)
    projected = centred @ components.T
    low, high = np.percentile(projected, _PERCENTILES, axis=0)
    width = high - low
    levels = np.divide(projected - low, width, out=np.full_like(projected, 0.5), where=width > 1e-9)
    shares = [_share(column, centred) for column in projected.T]
    return components, np.clip(levels, 0, 1), shares


def _share(projected: np.ndarray, centred: np.ndarray) -> float:
    total = np.square(centred).sum()
    return float(np.square(projected).sum() / total) if total > 0 else 0.0


def _borders_are_high(maps: Sequence[np.ndarray]) -> bool:
    """Tell whether patches along the borders are above the others, over all pictures."""
    edges = []
    for values in maps:
        edge = np.ones(values.shape, bool)
        edge[1:-1, 1:-1] = False
        edges.append(values[edge])
    # The mean over all patches is 0; a picture of two rows has borders alone.
    border = float(np.concatenate(edges).mean())
    return border > 0


def _divided(rows: np.ndarray, pictures: Sequence[PatchFeatures]) -> list[np.ndarray]:
    """Return rows of all patches as maps, one for each picture."""
    ends = np.cumsum([len(picture.rows) for picture in pictures])[:-1]
    parts = np.split(rows, ends)
    return [
        part.reshape(*picture.grid, *rows.shape[1:])
        for part, picture in zip(parts, pictures, strict=True)
    ]


def _check(threshold: float, foreground: str) -> None:
    if foreground not in FOREGROUNDS:
        raise UsageError(
            f"The foreground is one of {', '.join(map(repr, FOREGROUNDS))}. "
            f"Received: foreground={foreground!r}."
        )
    if not isinstance(threshold, int | float) or not math.isfinite(threshold):
        raise UsageError(
            "The threshold is a number of standard deviations, such as 0 or 0.5. "
            f"Received: threshold={threshold!r}."
        )
