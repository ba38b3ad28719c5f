"""Which grid of patches a position embedding is of, and whether the prefix tokens have positions.

The length alone does not say: 169 positions are 13x13 patches, or 12x14 and a class token. Facts
come first; then the named architecture's own grid; a guess is never made.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from kerasvit.conversion.architecture.detected import Detected
from kerasvit.conversion.facts.facts import Facts, Rank, by_name, certain, flag
from kerasvit.errors import InputError, UsageError

# No picture is cut into a strip longer than this, where nothing says so.
_LONGEST = 8


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read a position embedding.

    Args:
        kind: "all" tokens have a position or the "patches" alone; None for CaiT.
        grid: `(rows, columns)`.
    """

    kind: str | None
    grid: tuple[int, int]


def image_size_facts(
    detected: Detected, facts: Facts, named: Iterable[Reading], origin: str, label: str
) -> Facts:
    """Return `image_size`, and `position_embedding` where the family has it, with their origins.

    Args:
        detected: what the tensors say.
        facts: what is known beside: `image_size`, `position_embedding`.
        named: how the positions of the named architecture are read, its own first, then those of
            its siblings of other sizes; of all that fit where no name was given.
        origin: what messages call the one that `named` is of.
        label: what errors call the checkpoint.

    Raises:
        InputError: if what is known contradicts the tensors, or several readings are left.
    """
    named = list(named)
    if not detected.has_position_table:
        return _without_table(detected, facts, named, origin, label)
    possible = _of_known_kind(_all_readings(detected), facts)
    possible = _of_known_size(possible, detected, facts, label)
    kinds = {reading.kind for reading in named}
    likely = [one for one in possible if one.kind in kinds] or possible
    own = next((one for one in named if one in likely), None)
    if len(likely) != 1 and (own is None or _has_rivals(own, likely)):
        likely = [one for one in likely if _is_plausible(one)]
        if len(likely) != 1:
            raise _ambiguous(detected, likely, label)
        own = None
    return _as_facts(own or likely[0], detected, facts, own is not None, origin)


def _without_table(
    detected: Detected, facts: Facts, named: list[Reading], origin: str, label: str
) -> Facts:
    """Return the facts of a network without learned positions, which takes any size."""
    kind = certain("the tensors", {"position_embedding": "none"})
    if detected.relative_grids:
        named = _of_relative_biases(detected, facts, named, label)
    if "image_size" in facts:
        return kind | facts.among(["image_size"])
    if not named:
        raise UsageError(
            f"{label} has no learned positions, and so does not say for which images it was "
            f"trained. Received: {detected.summary}. Say it: image_size=(height, width), or "
            f"{flag('image_size')} HEIGHT WIDTH; images of any other size are accepted later"
        )
    patch = detected.structure["patch_size"]
    rows, columns = named[0].grid
    return kind | by_name(origin, {"image_size": (rows * patch[0], columns * patch[1])})


def _of_relative_biases(
    detected: Detected, facts: Facts, named: list[Reading], label: str
) -> list[Reading]:
    """Return the readings that relative biases can be of, a square where no named one fits.

    Raises:
        InputError: if the image size that is known is of another grid, or no grid is square.
    """
    grids = detected.relative_grids
    if "image_size" in facts:
        fact = facts["image_size"]
        grid = _grid(fact.value, detected)
        if grid not in grids:
            shown = ", ".join(f"{rows}x{columns}" for rows, columns in grids[:4]) or "none"
            raise InputError(
                f"{label} stores relative biases of the grids {shown}; the image size must give "
                f"one of them. Received: {fact.shown}, a grid of {grid[0]}x{grid[1]}. Pass the "
                f"size that the weights were trained with: {flag('image_size')} HEIGHT WIDTH; "
                "images of any other size are accepted later"
            )
    fitting = [one for one in named if one.grid in grids]
    squares = [Reading("none", grid) for grid in grids if grid[0] == grid[1]]
    if not (fitting or squares or "image_size" in facts):
        raise InputError(
            f"{label} stores relative biases of a grid that is no square, and does not say which. "
            f"Received: {detected.summary}. Pass the size that the weights were trained with: "
            f"image_size=(height, width), or {flag('image_size')} HEIGHT WIDTH"
        )
    return fitting or squares


def named_readings(variants: Iterable[Mapping[str, Any]], detected: Detected) -> list[Reading]:
    """Return how the positions of named architectures are read, each once.

    Args:
        variants: their arguments.
        detected: what the tensors say, whose patches count.
    """
    patch = detected.structure["patch_size"]
    readings = []
    for variant in variants:
        kind = None if detected.family == "cait" else variant.get("position_embedding", "all")
        height, width = variant["image_shape"][:2]
        readings.append(Reading(kind, (height // patch[0], width // patch[1])))
    return list(dict.fromkeys(readings))


def _is_plausible(reading: Reading) -> bool:
    return max(reading.grid) <= _LONGEST * min(reading.grid)


def _has_rivals(own: Reading, likely: list[Reading]) -> bool:
    """Tell whether another kind of positions could be meant as well."""
    return any(one.kind != own.kind and _is_plausible(one) for one in likely)


def _all_readings(detected: Detected) -> list[Reading]:
    return [
        Reading(kind, (rows, count // rows))
        for kind, count in detected.patches_by_kind.items()
        for rows in range(1, count + 1)
        if count % rows == 0
    ]


def _of_known_kind(readings: list[Reading], facts: Facts) -> list[Reading]:
    kind = facts.value("position_embedding")
    return [one for one in readings if one.kind in (None, kind)] or readings


def _of_known_size(
    readings: list[Reading], detected: Detected, facts: Facts, label: str
) -> list[Reading]:
    if "image_size" not in facts:
        return readings
    fact = facts["image_size"]
    grid = _grid(fact.value, detected)
    fitting = [one for one in readings if one.grid == grid]
    if fitting:
        # Without prefix tokens, or of CaiT, both kinds are one.
        return fitting[:1]
    if fact.rank <= Rank.LAYOUT:
        return readings
    counts = " or ".join(str(count) for count in sorted(set(detected.patches_by_kind.values())))
    raise InputError(
        f"{label} stores positions of {counts} patches; the image size must give as many. "
        f"Received: {fact.shown}, a grid of {grid[0]}x{grid[1]}. Pass the size that the weights "
        f"were trained with: {flag('image_size')} HEIGHT WIDTH; images of any other size are "
        "accepted later"
    )


def _grid(size: tuple[int, int], detected: Detected) -> tuple[int, int]:
    patch = detected.structure["patch_size"]
    return size[0] // patch[0], size[1] // patch[1]


def _as_facts(
    reading: Reading, detected: Detected, facts: Facts, is_named: bool, origin: str
) -> Facts:
    patch = detected.structure["patch_size"]
    size = (reading.grid[0] * patch[0], reading.grid[1] * patch[1])
    has_prefix = detected.patches_by_kind.get("all") != detected.stored_positions
    is_free = not has_prefix and "position_embedding" in facts  # both kinds are one
    values: dict[str, Any] = {}
    if reading.kind and not is_free:
        values["position_embedding"] = reading.kind
    if "image_size" in facts and _grid(facts["image_size"].value, detected) == reading.grid:
        # As it was said: SigLIP's 384 pixels are no multiple of 14.
        return certain("the tensors", values) | facts.among(["image_size"])
    values["image_size"] = size
    return by_name(origin, values) if is_named else certain("the tensors", values)


def _ambiguous(detected: Detected, readings: list[Reading], label: str) -> InputError:
    patch = detected.structure["patch_size"]
    squarest = sorted(readings, key=lambda one: max(one.grid) / min(one.grid))[:4]
    sizes = dict.fromkeys(f"{one.grid[0] * patch[0]} {one.grid[1] * patch[1]}" for one in squarest)
    listing = ", ".join(sizes) or "no grid at all"
    return InputError(
        f"{label} stores {detected.stored_positions} positions, and the grid of patches that they "
        f"are of can't be told from that. Received: positions that fit images of {listing} pixels "
        "and more. Pass the size that the weights were trained with: image_size=(height, width), "
        f"or {flag('image_size')} HEIGHT WIDTH"
    )
