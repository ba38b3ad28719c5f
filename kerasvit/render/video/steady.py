"""Colours that do not flicker from one frame of a video to the next."""

import math

import numpy as np

from kerasvit.errors import InputError

# As in `kerasvit.saliency.normalise`: less than this share is rounding, not a difference.
_FLAT = 1e-6


class SteadyRange:
    """A range of values that follows a series of maps slowly.

    Each map's range is between two percentiles of its own values; the range that is drawn is their
    exponentially weighted mean, so a value keeps its colour from frame to frame, while a new scene
    has its own colours after about `seconds`. Why not one range for the whole video: it needs every
    map before the first frame can be drawn, and the frame with the sharpest peak darkens all
    others, since attention sums to 1 and its highest value depends on how concentrated it is.

    Args:
        rate: maps a second.
        seconds: the time constant: a jump has been followed by 63 % after it.
        percentiles: the two ends of a map's own range, in [0, 100].
        from_zero: whether the range starts at 0, for signed maps: what is negative shows as 0.
    """

    def __init__(
        self,
        rate: float,
        seconds: float = 1.0,
        percentiles: tuple[float, float] = (1.0, 99.0),
        from_zero: bool = False,
    ) -> None:
        self.weight = -math.expm1(-1 / (float(rate) * seconds))
        self.percentiles, self.from_zero = percentiles, from_zero
        self.range: np.ndarray | None = None

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Follow the next map, and return it in [0, 1] of the range; zeros if that is empty.

        Args:
            values: `(rows, columns)`, finite.

        Raises:
            InputError: if a value is NaN or infinite.
        """
        if not np.isfinite(values).all():
            raise InputError(
                "Maps must be finite to be drawn. Received: NaN or infinity. "
                "Check the model's weights and its input."
            )
        own = np.percentile(np.asarray(values, np.float64), self.percentiles)
        if self.from_zero:
            own = np.array([0, max(0, own[1])])
        if self.range is None:
            self.range = own
        self.range = self.range + self.weight * (own - self.range)
        low, high = self.range
        if high - low <= _FLAT * max(abs(low), abs(high)):
            return np.zeros(np.shape(values), np.float32)
        return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
