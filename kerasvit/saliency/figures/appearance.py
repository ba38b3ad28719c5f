"""How the maps of each method are brought to colours."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Appearance:
    """The way from a map to a picture, see `kerasvit.saliency.Method`.

    Args:
        normalisation: see `kerasvit.saliency.normalise`.
        interpolation: see `Geometry.place`.
    """

    normalisation: str = "minmax"
    interpolation: str = "bicubic"


# By method. The table of methods fills it: a result, which draws itself, lies below the table.
APPEARANCES: dict[str, Appearance] = {}


def appearance_of(method: str) -> Appearance:
    """Return how the maps of a method look; those of an unknown one like attention."""
    return APPEARANCES.get(method, Appearance())
