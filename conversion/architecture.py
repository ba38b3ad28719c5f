"""Which of our models a checkpoint fits, and with which arguments."""

import math
from typing import Any

from kerasvit.conversion.detection import STRUCTURE, Detected
from kerasvit.errors import InputError, UsageError
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.cait import CaiT

_DEFAULTS = {
    "mlp_type": "mlp",
    "use_distillation_token": False,
    "num_registers": 0,
    "use_qkv_bias": True,
    "use_qk_norm": False,
    "use_pre_norm": False,
}


def model_for(
    detected: Detected,
    name: str | None,
    label: str,
    image_shape: tuple[int, ...] | None = None,
    **overrides,
) -> ScoreModel:
    """Make the model that a checkpoint's weights go into, with random weights still.

    Args:
        detected: what the checkpoint says about itself.
        name: the variant asked for; None to take the one that fits, if it is one alone.
        label: what errors call the checkpoint.
        image_shape: image size that the stored position embedding belongs to; None to derive it,
            which needs a square grid.
        **overrides: further arguments of the model.

    Raises:
        InputError: if the variant has another architecture than the checkpoint.
        UsageError: if no name is given and none or several variants fit, or a name is unknown.
    """
    name = name or _only_fit(detected, label)
    model_type, variant = factory.variant(name)
    _check_structure(detected, model_type, variant, name, label)
    arguments = {
        "image_shape": _image_shape(detected, variant, image_shape, label),
        "num_classes": detected.num_classes,
        **_flexible(detected, variant),
        **overrides,
    }
    return factory.create_model(name, **arguments)


def fitting_variants(detected: Detected) -> list[str]:
    """Return the names of all variants whose architecture the checkpoint has."""
    return [
        name for name in factory.list_models() if not _differences(detected, *factory.variant(name))
    ]


def _only_fit(detected, label) -> str:
    fits = fitting_variants(detected)
    exact = [name for name in fits if _num_patches(name) == detected.num_positions]
    # DeiT and ViT of one size are the same network; the plain name stands for both.
    for names in (exact, fits):
        plain = [name for name in names if not name.startswith("deit_")] or names
        if len(plain) == 1:
            return plain[0]
    listing = f"{', '.join(fits)} fit" if fits else "no named model fits"
    raise UsageError(
        f"{label} needs the name of its model. Received: {detected.summary}; {listing}. "
        "Name one with -m, or model=..."
    )


def _num_patches(name: str) -> int:
    variant = factory.variant(name)[1]
    height, width = variant["image_shape"][:2]
    return (height // variant["patch_size"]) * (width // variant["patch_size"])


def _check_structure(detected, model_type, variant, name, label):
    differences = _differences(detected, model_type, variant)
    if not differences:
        return
    fits = fitting_variants(detected)
    advice = f"Choose one of: {', '.join(fits)}" if fits else "No named model has this architecture"
    raise InputError(
        f"{label} is not {name!r}: {'; '.join(differences)}. Received: {detected.summary}. {advice}"
    )


def _differences(detected, model_type, variant) -> list[str]:
    if (model_type is CaiT) != (detected.family == "cait"):
        return [f"{model_type.__name__} was asked for"]
    wanted = {**_DEFAULTS, **variant, "patch_size": (variant["patch_size"],) * 2}
    differences = [
        f"{key} is {detected.structure[key]}, not {wanted[key]}"
        for key in STRUCTURE
        if key in detected.structure and detected.structure[key] != wanted[key]
    ]
    if (wanted.get("layer_scale_init_value") is not None) != detected.has_layer_scale:
        has = "has" if detected.has_layer_scale else "has no"
        differences.append(f"it {has} LayerScale")
    return differences


def _flexible(detected: Detected, variant: dict[str, Any]) -> dict[str, Any]:
    """Return what may differ from the variant without making it another architecture."""
    flexible = {}
    if detected.position_embedding is not None:
        flexible["position_embedding"] = detected.position_embedding
    if detected.norm_after_pooling:
        flexible.update(pooling="average", norm_after_pooling=True)
    return flexible


def _image_shape(detected, variant, image_shape, label):
    patch_height, patch_width = detected.structure["patch_size"]
    channels = variant["image_shape"][2]
    if image_shape is not None:
        shape = (*image_shape[:2], channels)
        rows, columns = shape[0] // patch_height, shape[1] // patch_width
        if rows * columns != detected.num_positions:
            raise InputError(
                f"{label} stores positions of {detected.num_positions} patches; image_shape must "
                f"give as many. Received: {image_shape}, a grid of {rows}x{columns}. Pass the size "
                "that the weights were trained with; images of any other size are accepted later"
            )
        return shape
    side = math.isqrt(detected.num_positions)
    if side * side != detected.num_positions:
        raise InputError(
            f"{label} stores positions of {detected.num_positions} patches, which is no square "
            "grid. Received: no image_shape. Pass the size that the weights were trained with: "
            "image_shape=(height, width), or --image-size HEIGHT WIDTH"
        )
    return (side * patch_height, side * patch_width, channels)
