"""Which of our models a checkpoint fits, and with which arguments."""

import inspect
import math
from typing import Any

from kerasvit.conversion.architecture.detected import STRUCTURE, Detected
from kerasvit.errors import InputError, UsageError
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.cait.model import CaiT
from kerasvit.models.vit.readout import NORMED_AFTER


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
    variant = {**variant, **overrides}
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
    exact = [name for name in fits if _is_exact(detected, name)]
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


def _is_exact(detected: Detected, name: str) -> bool:
    """Tell whether what may differ from a variant does not either."""
    model_type, variant = factory.variant(name)
    wanted = {**_defaults(model_type), **variant}
    height, width = variant["image_shape"][:2]
    patches = (height // variant["patch_size"]) * (width // variant["patch_size"])
    norms_after = wanted.get("norm_after_pooling")
    if norms_after is None:
        norms_after = wanted.get("pooling") in NORMED_AFTER
    return patches == detected.num_positions and norms_after == detected.norm_after_pooling


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
    wanted = {
        **_defaults(model_type),
        **variant,
        "patch_size": (variant["patch_size"],) * 2,
    }
    is_post_norm = wanted.get("block_type") == "post_norm"
    if is_post_norm:
        # It has the tensors of a common block, in another order, and LayerScale in its norms.
        wanted.update(block_type="encoder", layer_scale_init_value=None)
    differences = [
        f"{key} is {detected.structure[key]}, not {wanted[key]}"
        for key in STRUCTURE
        if key in detected.structure and detected.structure[key] != wanted[key]
    ]
    if (wanted.get("layer_scale_init_value") is not None) != detected.has_layer_scale:
        has = "has" if detected.has_layer_scale else "has no"
        differences.append(f"it {has} LayerScale")
    if wanted.get("pooling") == "attention" and not detected.has_attention_pooling:
        differences.append("it has no attention pooling")
    return differences


def _defaults(model_type: type[ScoreModel]) -> dict[str, Any]:
    parameters = inspect.signature(model_type.__init__).parameters
    return {name: parameters[name].default for name in model_type.arguments}


def left_out(detected: Detected, model: ScoreModel) -> dict[str, str]:
    """Return the source tensors that a model of this architecture has no use for, with reasons."""
    if detected.has_attention_pooling and getattr(model, "pooling", None) != "attention":
        return {"attn_pool.*": f"the attention pooling, which {model.name!r} does not use"}
    return {}


def _flexible(detected: Detected, variant: dict[str, Any]) -> dict[str, Any]:
    """Return what may differ from the variant without making it another architecture."""
    if detected.family == "cait":
        return {}
    flexible = {"position_embedding": detected.position_embedding}
    pooling = variant.get("pooling", "class")
    if detected.norm_after_pooling:
        pooled = "average" if pooling == "class" else pooling
        flexible.update(pooling=pooled, norm_after_pooling=True)
    elif pooling in NORMED_AFTER:
        flexible.update(norm_after_pooling=False)
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
    height, width = variant["image_shape"][:2]
    if (height // patch_height) * (width // patch_width) == detected.num_positions:
        return variant["image_shape"]
    side = math.isqrt(detected.num_positions)
    if side * side != detected.num_positions:
        raise InputError(
            f"{label} stores positions of {detected.num_positions} patches, which is no square "
            "grid. Received: no image_shape. Pass the size that the weights were trained with: "
            "image_shape=(height, width), or --image-size HEIGHT WIDTH"
        )
    return (side * patch_height, side * patch_width, channels)
