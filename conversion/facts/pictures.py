"""How pictures are prepared, read from timm's `pretrained_cfg` and `preprocessor_config.json`."""

from collections.abc import Mapping
from typing import Any

from kerasvit.images.rules import INTERPOLATIONS

# Pillow's numbers of its filters, which transformers stores.
_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def of_pretrained_cfg(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about pictures in timm's `pretrained_cfg`.

    Args:
        config: `input_size` (channels, height, width), `mean`, `std`, `crop_pct`, `crop_mode` and
            `interpolation`, each where it is known.
    """
    facts = {
        "mean": config.get("mean"),
        "std": config.get("std"),
        "crop_fraction": config.get("crop_pct"),
        "crop_mode": config.get("crop_mode"),
        "interpolation": config.get("interpolation"),
    }
    size = config.get("input_size")
    if isinstance(size, list | tuple) and len(size) == 3:
        facts["input_size"] = tuple(size[1:])
    if facts["interpolation"] not in INTERPOLATIONS:
        facts["interpolation"] = None
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in facts.items()
        if value is not None
    }


def of_preprocessor(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about pictures in a `preprocessor_config.json` of transformers.

    Its processors resize to `size`: both sides to `height` and `width`, or the shorter one to
    `shortest_edge`; then they cut `crop_size` out of the middle where `do_center_crop` says so.

    Source: transformers/image_processing_utils.py and models/*/image_processing_*.py.
    """
    facts: dict[str, Any] = {}
    size, crop = _sides(config.get("size")), _sides(config.get("crop_size"))
    crops = config.get("do_center_crop", crop is not None) and crop is not None
    keeps_aspect = isinstance(config.get("size"), Mapping) and "shortest_edge" in config["size"]
    if size is not None and config.get("do_resize", True):
        wanted = crop if crops and crop is not None else size
        facts["input_size"] = wanted
        facts["crop_fraction"] = min(1.0, min(wanted) / min(size))
        facts["crop_mode"] = "center" if keeps_aspect else "squash"
    resample = config.get("resample")
    if isinstance(resample, int) and 0 <= resample < len(_FILTERS):
        facts["interpolation"] = _FILTERS[resample]
    normalises = config.get("do_normalize", True)
    mean, std = config.get("image_mean"), config.get("image_std")
    if normalises and mean is not None and std is not None:
        facts.update(mean=tuple(mean), std=tuple(std))
    elif not normalises:
        facts.update(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return facts


def _sides(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping):
        if "height" in size and "width" in size:
            return size["height"], size["width"]
        if isinstance(size.get("shortest_edge"), int):
            return size["shortest_edge"], size["shortest_edge"]
    return tuple(size) if isinstance(size, list | tuple) and len(size) == 2 else None
