"""How a map is drawn: its range, its style, its interpolation."""

import dataclasses
from typing import Self

import numpy as np

from kerasvit.errors import InputError
from kerasvit.images.geometry import Geometry
from kerasvit.render.canvas import Canvas
from kerasvit.saliency import METHODS, mass_mask
from kerasvit.saliency.normalise import Clipped, clip_brightest, normalise


@dataclasses.dataclass(frozen=True)
class Look:
    """The way from a map as a method gives it to a picture.

    Args:
        style: see `overlay`; `"mask"` shows the patches with most of the mass.
        mass: their share of the mass, see `mass_mask`.
        normalisation: see `normalise`.
        interpolation: of the map, see `Geometry.place`; masks keep their patches.
        alpha: see `overlay`.
        clip: whether patches that outshine the rest are cut to the rest, see `clip_brightest`.
    """

    style: str = "fade"
    mass: float = 0.6
    normalisation: str = "minmax"
    interpolation: str = "bicubic"
    alpha: float = 0.7
    clip: bool = True

    @classmethod
    def of(cls, method: str, style: str = "fade", mass: float = 0.6) -> Self:
        """Return how the map of a saliency method is drawn, see `kerasvit.saliency.Method`.

        Args:
            method: its name; one that is unknown is drawn like attention.
            style: see `overlay`, or `"mask"`.
            mass: see above.
        """
        row = METHODS.get(method, METHODS["attention"])
        return cls(style, mass, row.normalisation, row.interpolation)

    @property
    def title(self) -> str:
        """What an overlay of this style is called: `"overlay"`, or the share of the mass."""
        return f"{self.mass:.0%} of the mass" if self.style == "mask" else "overlay"

    def overlay(self, canvas: Canvas, values: np.ndarray) -> np.ndarray:
        """Draw a map `(rows, columns)`, not normalised, over the photograph.

        Returns:
            uint8 `(H, W, 3)` of the canvas' size.

        Raises:
            InputError: if the map is not finite.
        """
        if self.style == "mask":
            chosen = chosen_patches(values, self.mass)
            return canvas.overlay(chosen, self.style, self.alpha, "nearest")
        return canvas.overlay(self.scaled(values), self.style, self.alpha, self.interpolation)

    def heatmap(self, canvas: Canvas, values: np.ndarray) -> np.ndarray:
        """Draw a map `(rows, columns)`, not normalised, alone; uint8 `(H, W, 3)`."""
        return canvas.overlay(self.scaled(values), "heatmap", 1, self.interpolation)

    def scaled(self, values: np.ndarray, axes: tuple[int, ...] = (-2, -1)) -> np.ndarray:
        """Return maps `(..., rows, columns)` in [0, 1], as they are drawn.

        Args:
            values: not normalised.
            axes: what shares one range, see `normalise`.

        Raises:
            InputError: if a value is not finite.
        """
        return normalise(self._clipped(values, axes).values, self.normalisation, axes).values

    def clips(self, values: np.ndarray, axes: tuple[int, ...] = (-2, -1)) -> np.ndarray:
        """Return which maps are drawn with their brightest patches cut, see `clip_brightest`."""
        return self._clipped(values, axes).clipped

    def _clipped(self, values: np.ndarray, axes: tuple[int, ...]) -> Clipped:
        if not self.clip or not np.isfinite(values).all():
            return Clipped(values, np.zeros((), bool))
        # Signed maps are drawn from 0 on.
        return clip_brightest(
            np.maximum(values, 0) if self.normalisation == "max" else values, axes
        )


def chosen_patches(values: np.ndarray, mass: float) -> np.ndarray:
    """Return which patches a mask shows: those that hold the mass of what speaks for the map.

    Args:
        values: `(rows, columns)`; negative values count as 0. A map of zeros and ones alone is a
            mask already, and kept as it is.
        mass: the share to keep, see `mass_mask`.

    Returns:
        bool `(rows, columns)`.
    """
    if np.isin(values, (0, 1)).all():
        return values > 0
    return mass_mask(np.maximum(values, 0), mass)


def check_photograph(image: np.ndarray, geometry: Geometry) -> None:
    """Raise `InputError` unless the photograph is RGB and has the size that its geometry names."""
    if image.dtype != np.uint8 or image.shape != (*geometry.original_size, 3):
        raise InputError(
            "The photograph must be uint8 (H, W, 3) of the size that its geometry names, "
            f"{geometry.original_size}. Received: {image.dtype} {image.shape}."
        )
