"""Which named models have the architecture of a checkpoint, and which one is meant."""

import inspect
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.architecture.detected import STRUCTURE, Detected
from kerasvit.conversion.architecture.positions import named_readings
from kerasvit.conversion.facts.facts import Facts, Rank, flag
from kerasvit.errors import InputError, UsageError
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.cait.model import CaiT
from kerasvit.models.vit.model import VisionTransformer
from kerasvit.models.vit.readout import NORMED_AFTER
from kerasvit.models.xcit.model import XCiT

# What no tensor shows, and named models of one architecture differ in.
_HIDDEN = (
    *("num_heads", "activation", "layer_norm_epsilon", "block_type", "image_size"),
    *("rope_type", "rope_offset", "rope_reference_grid"),
)


def fitting_variants(detected: Detected) -> list[str]:
    """Return the names of all variants whose architecture the checkpoint has."""
    return [
        name
        for name in factory.list_models()
        if not differences(detected, *factory.variant(name), Facts())
    ]


def model_type_of(detected: Detected) -> type[ScoreModel]:
    """Return the class of the checkpoint's models."""
    types = {"cait": CaiT, "xcit": XCiT}
    return types.get(detected.family, VisionTransformer)


def differences(
    detected: Detected, model_type: type[ScoreModel], variant: Mapping[str, Any], facts: Facts
) -> list[tuple[str, str]]:
    """Return what a named variant has otherwise than the checkpoint, unless a fact says it.

    Args:
        detected: what the tensors say.
        model_type: the variant's class.
        variant: its arguments.
        facts: what is known beside the tensors and the name.

    Returns:
        The argument and the difference in words, for each.
    """
    if model_type is not model_type_of(detected):
        return [("model", f"{model_type.__name__} was asked for")]
    wanted = {
        **default_arguments(model_type),
        **variant,
        **facts.at_least(Rank.LAYOUT).among(STRUCTURE).values_by_name(),
    }
    if wanted.get("pooling_mlp_dim", 0) is None:
        wanted["pooling_mlp_dim"] = wanted["mlp_dim"]
    is_post_norm = wanted.get("block_type") == "post_norm"
    if is_post_norm:
        # It has the tensors of a common block, in another order, and LayerScale in its norms.
        wanted.update(block_type="encoder", layer_scale_init_value=None)
    found = [
        (key, f"{key} is {detected.structure[key]}, not {_value(key, wanted)}")
        for key in STRUCTURE
        if key in detected.structure and detected.structure[key] != _value(key, wanted)
    ]
    wants_scale = "layer_scale_init_value" in facts or (
        wanted.get("layer_scale_init_value") is not None
    )
    if wants_scale != detected.has_layer_scale and not (is_post_norm and wants_scale):
        has = "has" if detected.has_layer_scale else "has no"
        found.append(("layer_scale_init_value", f"it {has} LayerScale"))
    found += _positions(detected, wanted)
    if wanted.get("pooling") == "attention" and not detected.has_attention_pooling:
        found.append(("pooling", "it has no attention pooling"))
    return found


def _positions(detected: Detected, wanted: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how a variant's learned positions and frequencies are others than the checkpoint's."""
    if detected.family == "xcit":
        return []
    found = []
    if (wanted.get("position_embedding") != "none") != detected.has_position_table:
        has = "has" if detected.has_position_table else "has no"
        found.append(("position_embedding", f"it {has} learned positions"))
    if wanted.get("rope_type") is not None and detected.has_vits_scale:
        found.append(("rope_type", "its LayerScale is named as a ViT's without rotary positions"))
    if (wanted.get("rope_type") == "mixed") != detected.has_learned_frequencies:
        has = "has" if detected.has_learned_frequencies else "has no"
        found.append(("rope_type", f"it {has} learned rotary frequencies"))
    return found


def check_structure(detected: Detected, name: str, facts: Facts, label: str) -> None:
    """Raise `InputError` if a named model has another architecture than the checkpoint."""
    found = differences(detected, *factory.variant(name), facts)
    if not found:
        return
    fits = fitting_variants(detected)
    advice = f"Choose one of: {', '.join(fits)}" if fits else "No named model has this architecture"
    if not any(argument == "model" for argument, _ in found):
        options = " ".join(_option(argument, detected) for argument, _ in found[:4])
        advice += f"; for {name!r} with another architecture, say so: {options}"
    raise InputError(
        f"{label} is not {name!r}: {'; '.join(words for _, words in found)}. Received: "
        f"{detected.summary}. {advice}"
    )


def choose_name(detected: Detected, facts: Facts, label: str) -> str | None:
    """Return the named model that a checkpoint is, where one alone fits.

    Returns:
        None where none fits, or several that the facts do not tell apart, and the facts say all
        that a name would: the number of heads.

    Raises:
        UsageError: if a name is needed.
    """
    fits = fitting_variants(detected)
    known = facts.at_least(Rank.LAYOUT).among(_HIDDEN)
    agreeing = [name for name in fits if _agrees(factory.variant(name), known)]
    exact = [name for name in agreeing if _is_exact(detected, name)]
    # Nothing in an XCiT is of one size of images: the smallest stands for all.
    smallest = exact[:1] if detected.family == "xcit" else exact
    for names in (smallest, agreeing):
        plain = _plain(names)
        if len(plain) == 1:
            return plain[0]
    if "num_heads" in known:
        return None
    listing = f"{', '.join(fits)} fit" if fits else "no named model fits"
    advice = (
        "Name one with -m, or model=..."
        if fits
        else f"Say how many attention heads it has: {flag('num_heads')} N, or num_heads=N"
    )
    raise UsageError(
        f"{label} needs the name of its model. Received: {detected.summary}; {listing}. {advice}"
    )


def _plain(names: list[str]) -> list[str]:
    """Return the names that stand for others of the same network, or of the same tensors.

    DeiT and ViT of one size are the same network, LingBot and DINOv3; an axial RoPE-ViT has the
    tensors of a DeiT III: it must be named, and what is taken is reported.
    """
    kinds = (
        lambda name: name.startswith("deit_"),
        lambda name: name.endswith("_lingbot"),
        lambda name: factory.variant(name)[1].get("rope_type") == "axial",
    )
    for is_other in kinds:
        names = [name for name in names if not is_other(name)] or names
    return names


def default_arguments(model_type: type[ScoreModel]) -> dict[str, Any]:
    """Return the defaults of a model's constructor."""
    parameters = inspect.signature(model_type.__init__).parameters
    return {name: parameters[name].default for name in model_type.arguments}


def left_out(detected: Detected, model: ScoreModel) -> dict[str, str]:
    """Return the source tensors that a model of this architecture has no use for, with reasons."""
    if detected.has_attention_pooling and getattr(model, "pooling", None) != "attention":
        return {"attn_pool.*": f"the attention pooling, which {model.name!r} does not use"}
    return {}


def _value(key: str, arguments: Mapping[str, Any]) -> Any:
    value = arguments[key]
    return (value, value) if key == "patch_size" and isinstance(value, int) else value


def _option(argument: str, detected: Detected) -> str:
    if argument == "layer_scale_init_value":
        return (
            flag(argument, 1e-5)
            if detected.has_layer_scale
            else "--set layer_scale_init_value=none"
        )
    value = detected.structure.get(argument, "VALUE")
    return flag(argument, value)


def _agrees(variant: tuple[type[ScoreModel], dict[str, Any]], known: Facts) -> bool:
    model_type, arguments = variant
    full = {**default_arguments(model_type), **arguments}
    full["image_size"] = tuple(full["image_shape"][:2])
    return all(name not in full or full[name] == known[name].value for name in known)


def _is_exact(detected: Detected, name: str) -> bool:
    """Tell whether what may differ from a variant does not either."""
    model_type, variant = factory.variant(name)
    if detected.family == "xcit":
        return True
    wanted = {**default_arguments(model_type), **variant}
    reading = named_readings([variant], detected)[0]
    norms_after = wanted.get("norm_after_pooling")
    if norms_after is None:
        norms_after = wanted.get("pooling") in NORMED_AFTER
    same_norm = norms_after == detected.norm_after_pooling
    if detected.relative_grids:
        return same_norm and reading.grid in detected.relative_grids
    if not detected.has_position_table:
        return same_norm
    patches = detected.patches_by_kind.get(reading.kind)
    if patches is None:  # no token but the patches, or DINOv2's registers: there is one kind
        patches = next(iter(detected.patches_by_kind.values()))
    return reading.grid[0] * reading.grid[1] == patches and same_norm
