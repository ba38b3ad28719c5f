"""What a live module says of its rotary positions: timm's EVA module, transformers' DINOv3."""

from typing import Any

from kerasvit.errors import InputError
from kerasvit.layers.rotary.rules import RULES, named_periods

_ORIGIN = "the live module"


def of_timm(module: Any) -> dict[str, Any]:
    """Return the facts of the rotary positions of a module of timm; none of one without them.

    Raises:
        InputError: if no rule of this package turns queries and keys so.
    """
    rope = getattr(module, "rope", None)
    if rope is None:
        return {}
    kind = type(rope).__name__
    order = getattr(rope, "grid_indexing", "ij")
    if kind == "RotaryEmbeddingDinoV3":
        is_usual = rope.rotate_half and order == "ij" and rope.normalize_coords == "separate"
        _require(is_usual and not rope.grid_offset, kind)
        periods = [float(period) for period in rope.periods]
        facts = {"rope_type": "dinov3", "rope_temperature": rope.temperature}
        named = named_periods(periods, 4 * len(periods), rope.temperature)
        return _without_own(facts | {"rope_periods": named})
    if kind == "RotaryEmbeddingMixed":
        _require(order == "xy", kind)
        return _without_own({"rope_type": "mixed", "rope_temperature": float(rope.temperature)})
    _require(kind == "RotaryEmbeddingCat" and not rope.in_pixels and not rope.rotate_half, kind)
    facts = {
        "rope_type": "eva02" if order == "ij" else "pe",
        "rope_temperature": float(rope.temperature),
        "rope_offset": float(rope.grid_offset),
    }
    if rope.ref_feat_shape is not None:
        facts["rope_reference_grid"] = tuple(rope.ref_feat_shape)
    elif order == "xy" and facts["rope_temperature"] == RULES["axial"].temperature:
        facts["rope_type"] = "axial"
    return _without_own(facts)


def of_transformers(module: Any) -> dict[str, Any]:
    """Return the rotary periods of a model of transformers; none of one without them."""
    for part in module.modules():
        if hasattr(part, "inv_freq") and type(part).__name__.startswith("DINOv3"):
            periods = [1 / float(frequency) for frequency in part.inv_freq]
            return {"rope_periods": named_periods(periods, part.head_dim, part.base)}
    return {}


def _without_own(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts without a temperature that the rule has itself."""
    if facts["rope_temperature"] == RULES[facts["rope_type"]].temperature:
        del facts["rope_temperature"]
    return facts


def _require(holds: bool, kind: str) -> None:
    if not holds:
        raise InputError(
            f"Rotary positions must be those of {', '.join(RULES)}. Received: a {kind} with other "
            f"settings ({_ORIGIN}). Such a network cannot be converted"
        )
