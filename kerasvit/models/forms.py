"""Arguments that are taken in several forms: what they are kept as."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasvit.layers.base import require
from kerasvit.models.arguments import Converted
from kerasvit.models.saving import plain


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return `(height, width)` of a patch that is given so, or by one number."""
    sides = (size, size) if isinstance(size, int) else _tuple(size)
    require(
        len(sides) == 2 and all(map(_is_side, sides)),
        f"patch_size must be one or two positive integers. Received: patch_size={size!r}",
    )
    return sides


def shape(given: int | tuple[int, ...]) -> tuple[int, int, int]:
    """Return `(height, width, channels)` of an image that may lack the channels."""
    sides = (given, given) if isinstance(given, int) else _tuple(given)
    sides = (*sides, 3) if len(sides) == 2 else sides
    require(
        len(sides) == 3 and all(map(_is_side, sides)),
        "image_shape must be (height, width, channels), all positive integers. "
        f"Received: image_shape={given!r}",
    )
    return sides


def _tuple(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, Iterable) else ()


def _is_side(side: Any) -> bool:
    return isinstance(side, int) and not isinstance(side, bool) and side > 0


def blocks(given: Iterable[int] | None) -> list[int] | None:
    """Return the numbers of blocks, or None for all; the model checks which there are."""
    return given if given is None or not isinstance(given, Iterable) else list(given)


def pooling(given: str) -> str:
    """Return the name of a pooling; "avg" is timm's and Keras' word for "average"."""
    return "average" if given == "avg" else given


def record(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of the record of a model, `{}` for none."""
    require(
        given is None or isinstance(given, Mapping),
        f"record must be a dict. Received: record={given!r}",
    )
    return plain(given or {})


ImageShape = Converted[int | tuple[int, ...], tuple[int, int, int]]
PatchSize = Converted[int | tuple[int, int], tuple[int, int]]
Blocks = Converted[Iterable[int] | None, list[int] | None]
Pooling = Converted[str, str]
Record = Converted[Mapping[str, Any] | None, dict[str, Any]]
