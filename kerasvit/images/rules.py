"""What a preprocessing may hold, wherever it is written down: the class, recipes, releases."""

import math
from collections.abc import Callable
from typing import Any

from kerasvit.fields import Rule, is_list, is_number, numbers, one_of
from kerasvit.images.cropping import CROP_MODES
from kerasvit.images.reading import MAX_PIXELS

INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")

SIDES = numbers(2, 1, whole=True)


def _is_of_channels(value: Any, check: Callable[[Any], bool]) -> bool:
    return is_list(value, check, 3) or is_list(value, check, 1)


# What a preprocessing may hold, wherever it is written down: `Preprocessing`, recipes, releases.
PREPROCESSING_RULES: dict[str, Rule] = {
    "image_size": Rule(
        lambda value: SIDES.holds(value) and math.prod(map(int, value)) <= MAX_PIXELS,
        f"{SIDES.words}, of at most {MAX_PIXELS} pixels",
        SIDES.make,
    ),
    "crop_fraction": Rule(
        lambda value: is_number(value, 0, 1) and value > 0, "a number in (0, 1]", float
    ),
    "crop_mode": one_of(*CROP_MODES),
    "interpolation": one_of(*INTERPOLATIONS),
    "mean": Rule(
        lambda value: _is_of_channels(value, is_number),
        "a list of 3 numbers, or of 1 for grey pictures",
        lambda value: tuple(map(float, value)),
    ),
    "std": Rule(
        lambda value: _is_of_channels(value, lambda number: is_number(number, 0) and number > 0),
        "a list of 3 numbers above 0, or of 1 for grey pictures",
        lambda value: tuple(map(float, value)),
    ),
}
