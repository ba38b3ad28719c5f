"""timm's arguments for a model of this package: what it has otherwise than the variant's name."""

import functools
import types
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.architecture.fitting import default_arguments
from kerasvit.conversion.facts.timm import POOLINGS
from kerasvit.conversion.names.eva_rules import is_beits, is_evas
from kerasvit.conversion.proof.timm import beit, eva
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.vit.readout import NORMED_AFTER

TIMMS_POOLINGS = {ours: theirs for theirs, ours in POOLINGS.items()}
# Ours and timm's, with the same values.
_SAME = {
    "hidden_dim": "embed_dim",
    "num_layers": "depth",
    "num_heads": "num_heads",
    "num_class_layers": "depth_token_only",
    "activation": "act_layer",
    "use_qkv_bias": "qkv_bias",
    "use_qk_norm": "qk_norm",
    "use_class_token": "class_token",
    "num_registers": "reg_tokens",
    "use_pre_norm": "pre_norm",
    "use_final_norm": "final_norm",
    "use_projection_bias": "proj_bias",
    "layer_scale_init_value": "init_values",
    "pool_prefix": "pool_include_prefix",
    "patch_size": "patch_size",
}
# Of XCiT's class, beside those of the others.
_XCIT = {
    "num_class_layers": "cls_attn_layers",
    "layer_scale_init_value": "eta",
    "use_tokens_norm": "tokens_norm",
}
# They are handled by themselves, or change no number of an evaluation.
_OTHERS = {
    *("mlp_dim", "image_shape", "num_classes", "position_embedding", "pooling", "record"),
    *("norm_after_pooling", "layer_norm_epsilon", "mlp_type", "attention", "attention_blocks"),
    *("position_resampling", "dropout_rate", "attention_dropout_rate", "drop_path_rate"),
    *("distillation_output", "scores_before_mixing", "use_distillation_token", "ignore_remainder"),
    *("head_blocks", "head_patch_mean", "head_interleaved"),
}


# Parts of names that timm has not.
OWN_NAMES = ("_nano_patch4_", "_large_plus_")


def _same(model: ScoreModel) -> dict[str, str]:
    """Return timm's names of the arguments that have the same values there."""
    if model.family != "xcit":
        return _SAME
    return {name: _XCIT.get(name, theirs) for name, theirs in {**_SAME, **_XCIT}.items()}


def base_arguments(model: ScoreModel, is_named: bool) -> dict[str, Any]:
    """Return the arguments that timm's model has without being told.

    Args:
        model: a Keras model.
        is_named: whether timm makes it by its name; else by its class, whose defaults are those of
            `VisionTransformer`.
    """
    if is_named:
        model_type, variant = factory.variant(factory.canonical_name(model.name))
        return {**default_arguments(model_type), **variant}
    defaults = default_arguments(type(model))
    if model.family in ("cait", "xcit"):  # timm's classes have others
        return {
            name: None if name in _same(model) or name == "mlp_dim" else v
            for name, v in defaults.items()
        }
    return defaults


def is_named(model: ScoreModel) -> bool:
    """Tell whether a model's name is one that this package and timm know."""
    name = factory.canonical_name(model.name)
    return name in factory.list_models() and not any(own in name for own in OWN_NAMES)


def differing_arguments(model: ScoreModel) -> dict[str, Any]:
    """Return timm's arguments for what a model has otherwise than the variant of its name.

    The epsilon is left out, which timm takes as a norm: see `norm_layer`.
    """
    base = base_arguments(model, is_named(model))
    differing = differences(model, base)
    if is_evas(model):
        return _evas_arguments(model, differing)
    if is_beits(model):
        return _beits_arguments(model, differing)
    same = _same(model)
    arguments = {theirs: differing[ours] for ours, theirs in same.items() if ours in differing}
    if model.image_shape[2] != 3:
        arguments["in_chans"] = model.image_shape[2]
    if {"hidden_dim", "mlp_dim"} & set(differing):
        arguments.update(_mlp_ratio(model))
    if model.family == "cait":
        return arguments
    if model.family == "xcit":
        arguments.pop("act_layer", None)  # it takes no name
        pooling = {"average": "avg", "none": ""}.get(model.pooling)
        return arguments if pooling is None else {**arguments, "global_pool": pooling}
    variant = factory.variant(factory.canonical_name(model.name))[1] if is_named(model) else {}
    if "position_embedding" in differing or "position_embedding" not in variant:
        arguments["no_embed_class"] = model.position_embedding == "patches"
    norms_after = model.normed_after_pooling
    if (model.pooling, norms_after) != _read_out(base):
        arguments.update(global_pool=TIMMS_POOLINGS[model.pooling], fc_norm=norms_after)
    return arguments


def _evas_arguments(model: ScoreModel, differing: Mapping[str, Any]) -> dict[str, Any]:
    arguments = (
        eva.differing_arguments(model, dict(differing))
        if is_named(model)
        else eva.whole_arguments(model)
    )
    if model.image_shape[2] != 3:
        arguments["in_chans"] = model.image_shape[2]
    # timm's own pooling of DINOv3 is another than its authors': it is always told.
    has_norm_after = model.use_final_norm and model.normed_after_pooling
    return arguments | {
        "global_pool": TIMMS_POOLINGS[model.pooling],
        "use_fc_norm": has_norm_after,
        "use_post_transformer_norm": model.use_final_norm and not has_norm_after,
    }


def _beits_arguments(model: ScoreModel, differing: Mapping[str, Any]) -> dict[str, Any]:
    arguments = (
        beit.differing_arguments(model, differing)
        if is_named(model)
        else beit.whole_arguments(model)
    )
    if model.image_shape[2] != 3:
        arguments["in_chans"] = model.image_shape[2]
    return arguments | {
        "global_pool": TIMMS_POOLINGS[model.pooling],
        "use_fc_norm": model.normed_after_pooling,
    }


def differences(model: ScoreModel, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model that are others than these."""
    pairs = {name: (getattr(model, name), base.get(name)) for name in model.arguments}
    return {
        name: own[0] if name == "patch_size" and own[0] == own[1] else own
        for name, (own, other) in pairs.items()
        if own != (_pair(other) if name == "patch_size" else other)
    }


def unsupported(model: ScoreModel) -> list[str]:
    """Return the arguments that timm's constructor can't be told."""
    differing = differences(model, base_arguments(model, is_named(model)))
    known = set(_same(model))
    if is_evas(model):
        known = eva.OTHERS | set(eva.SAME)
    elif is_beits(model):
        known = beit.OTHERS | set(beit.SAME)
    return sorted(set(differing) - known - _OTHERS)


def objects(timm: types.ModuleType, model: ScoreModel) -> dict[str, Any]:
    """Return the arguments of timm that are classes: the norm, by its epsilon, and a gated MLP."""
    differing = differences(model, base_arguments(model, is_named(model)))
    if is_beits(model):
        has_own = "layer_norm_epsilon" in differing or not is_named(model)
        return {"norm_layer": eva.norm_layer(timm, model)} if has_own else {}
    if is_evas(model):
        needs_norm = not is_named(model) or {"layer_norm_epsilon", "norm_type"} & set(differing)
        return {"norm_layer": eva.norm_layer(timm, model)} if needs_norm else {}
    made: dict[str, Any] = {}
    if "layer_norm_epsilon" in differing:
        is_rms = getattr(model, "norm_type", "layer") == "rms"
        norm = timm.layers.RmsNorm if is_rms else timm.layers.LayerNorm
        made["norm_layer"] = functools.partial(norm, eps=model.layer_norm_epsilon)
    if "activation" in differing:  # CaiT and XCiT take no name
        made["act_layer"] = timm.layers.get_act_layer(model.activation)
    if "mlp_type" in differing and model.mlp_type == "gated":
        made["mlp_layer"] = timm.layers.SwiGLUPacked
    return made


def timm_call(model: ScoreModel) -> str:
    """Return the call that makes timm's model of the same name and arguments, as text."""
    arguments = {
        "num_classes": model.num_classes,
        "img_size": tuple(model.image_shape[:2]),
        **differing_arguments(model),
    }
    listing = [f"{name}={value!r}" for name, value in arguments.items()]
    if model.layer_norm_epsilon != base_arguments(model, is_named(model))["layer_norm_epsilon"]:
        listing.append(f"norm_layer=partial(timm.layers.LayerNorm, eps={model.layer_norm_epsilon})")
    made = repr(factory.canonical_name(model.name))
    if is_named(model):
        return f"timm.create_model({made}, {', '.join(listing)})"
    family = {"cait": "Cait", "xcit": "Xcit"}.get(model.family, "VisionTransformer")
    family = "Eva" if is_evas(model) else "Beit" if is_beits(model) else family
    return f"timm.models.{family}({', '.join(listing)})"


def _mlp_ratio(model: ScoreModel) -> dict[str, float]:
    # timm counts both halves of the hidden layer of DINOv2's gated MLP.
    is_packed = getattr(model, "mlp_type", "mlp") == "gated" and (
        model.name.startswith("vit_giant") or not is_named(model)
    )
    ratio = ((2 if is_packed else 1) * model.mlp_dim + 0.5) / model.hidden_dim
    if model.family == "cait" and model.mlp_dim != 4 * model.hidden_dim:
        return {"mlp_ratio": ratio, "mlp_ratio_token_only": ratio}
    return {"mlp_ratio": ratio}


def _read_out(arguments: Mapping[str, Any]) -> tuple[str, bool]:
    pooling = arguments.get("pooling", "class")
    norms_after = arguments.get("norm_after_pooling")
    return pooling, pooling in NORMED_AFTER if norms_after is None else norms_after


def _pair(size: Any) -> Any:
    return (size, size) if isinstance(size, int) else size
