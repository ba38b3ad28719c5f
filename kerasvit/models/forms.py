"""Arguments that are taken in several forms: what they are kept as."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasvit.layers.base import require
from kerasvit.models.arguments import Converted, integer
from kerasvit.models.saving import plain


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return `(height, width)` of a patch that is given so, or by one number."""
    sides = _sides(size, 2)
    require(
        len(sides) == 2 and min(sides) > 0,
        f"patch_size must be one or two positive integers. Received: patch_size={size!r}",
    )
    return sides[0], sides[1]


def shape(given: int | tuple[int, ...]) -> tuple[int, int, int]:
    """Return `(height, width, channels)` of an image that may lack the channels."""
    sides = _sides(given, 2)
    sides = (*sides, 3) if len(sides) == 2 else sides
    require(
        len(sides) == 3 and min(sides) > 0,
        "image_shape must be (height, width, channels), all positive integers. "
        f"Received: image_shape={given!r}",
    )
    return sides[0], sides[1], sides[2]


def _sides(given: Any, count: int) -> tuple[int, ...]:
    """Return the integers of a size, one number `count` times; none if it holds anything else."""
    try:
        return (
            tuple(map(integer, given)) if isinstance(given, Iterable) else (integer(given),) * count
        )
    except TypeError:
        return ()


def blocks(given: Iterable[int] | None) -> list[int] | None:
    """Return the numbers of blocks, or None for all; the model checks which there are."""
    return given if given is None or not isinstance(given, Iterable) else list(given)


def pooling(given: str) -> str:
    """Return the name of a pooling; "avg" is timm's and Keras' word for "average"."""
    return "average" if given == "avg" else given


def grid(given: int | Iterable[int] | None) -> tuple[int, int] | None:
    """Return `(rows, columns)` of a grid that is given so, or by one number; None for none."""
    if given is None:
        return None
    sides = _sides(given, 2)
    require(
        len(sides) == 2 and min(sides) > 0,
        f"rope_reference_grid must be one or two positive integers. Received: {given!r}",
    )
    return sides[0], sides[1]


def periods(given: str | Iterable[float]) -> str | list[float]:
    """Return the name of rotary periods, or their values as Python's numbers."""
    if isinstance(given, str):
        return given
    try:
        return [float(value) for value in given]
    except (TypeError, ValueError):
        require(False, f"rope_periods must be a name or a list of numbers. Received: {given!r}")
        raise


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
GridShape = Converted[int | Iterable[int] | None, tuple[int, int] | None]
Periods = Converted[str | Iterable[float], str | list[float]]
Record = Converted[Mapping[str, Any] | None, dict[str, Any]]
