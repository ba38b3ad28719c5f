"""Which names a model's weights get in the layouts of timm and of the publishers' own code."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.names import layouts
from kerasvit.conversion.names.eva_rules import (
    has_separate_gate,
    is_beits,
    is_evas,
    is_separate,
    separate_projection_biases,
)
from kerasvit.conversion.names.export.dinov3 import dinov3_layout, notes_on_periods
from kerasvit.conversion.names.export.layout import MASK_TOKEN, ExportLayout
from kerasvit.conversion.names.xcit_layout import ORIGINAL_XCIT, TIMM_XCIT
from kerasvit.errors import UsageError
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel

# What a publisher's own code has, by argument of the model; timm's has all.
_PLAIN = {
    "rope_type": None,
    "use_key_bias": True,
    "use_relative_position_bias": False,
    "num_key_value_heads": None,
    "use_mlp_sub_norm": False,
    "use_mlp_layer_scale": True,
    "pooling": "class",
    "use_class_token": True,
    "use_qk_norm": False,
    "use_projection_bias": True,
    "use_sub_norm": False,
    "use_patch_norm": False,
    "use_pre_norm": False,
    "use_final_norm": True,
    "norm_type": "layer",
    "block_type": "encoder",
    "attention_type": "self",
}
_WITHOUT_SCALE = {**_PLAIN, "mlp_type": "mlp", "num_registers": 0, "layer_scale_init_value": None}
_NEEDS: dict[str, Mapping[str, Any]] = {
    "timm": {},
    "dino": {**_WITHOUT_SCALE, "use_distillation_token": False, "position_embedding": "all"},
    "deit": {**_WITHOUT_SCALE, "position_embedding": "all"},
    "deit3": {
        **_PLAIN,
        "mlp_type": "mlp",
        "num_registers": 0,
        "use_distillation_token": False,
        "position_embedding": "patches",
    },
    "dinov2": {**_PLAIN, "use_distillation_token": False},
    "dinov3": {
        **_PLAIN,
        "rope_type": "dinov3",
        "rope_offset": 0.0,
        "use_distillation_token": False,
        "position_embedding": "none",
        "use_key_bias": True,
        "num_classes": 0,
    },
    "cait": {},
    "xcit": {},
}

# Their code has LayerScale.
_SCALED = ("deit3", "dinov2", "dinov3")
# Layouts of other families than ViT, and what messages call these.
_FAMILIES = {"cait": ("cait", "CaiT"), "xcit": ("xcit", "XCiT")}


def export_layout(model: ScoreModel, name: str) -> ExportLayout:
    """Return the names of a model's weights in a layout.

    Raises:
        UsageError: if the layout is unknown, or its code has no such model.
    """
    if name not in _NEEDS:
        raise UsageError(
            f"Weights are written in the layouts {', '.join(_NEEDS)} and huggingface. "
            f"Received: {name!r}. "
            "Choose one of them"
        )
    _check(model, name)
    return unchecked_layout(model, name)


def unchecked_layout(model: ScoreModel, name: str) -> ExportLayout:
    """Return `export_layout` of a model whose head another room sees to."""
    if model.family == "cait":
        return ExportLayout(layouts.TIMM_CAIT)
    if model.family == "xcit":
        return ExportLayout(ORIGINAL_XCIT if name == "xcit" else TIMM_XCIT)
    rules = layouts.vit_layout(_markers(model, name))
    if is_separate(model) and model.use_key_bias:
        biases = separate_projection_biases(model.hidden_dim)
        rules = dataclasses.replace(rules, rules=(*rules.rules, *biases))
    layout = ExportLayout(rules, notes=notes_on_periods(model, "timm"))
    if name == "dinov2":
        mask = {"mask_token": np.zeros((1, model.hidden_dim), "float32")}
        return ExportLayout(rules, constants=mask, notes=(MASK_TOKEN,))
    return dinov3_layout(model, layout) if name == "dinov3" else layout


def _check(model: ScoreModel, name: str) -> None:
    problem = None
    family, called = _FAMILIES.get(name, ("vit", "ViT"))
    if name != "timm" and model.family != family:
        problem = f"it is for {called} alone"
    elif model.reads_several_tokens:
        problem = "it has no head that reads several blocks or the mean patch"
    for argument, wanted in _needs(model, name).items():
        received = getattr(model, argument, wanted)
        if problem is None and received != wanted:
            problem = f"it has {argument}={wanted!r}, and this model {received!r}"
    if problem is None and name != "timm" and model.family == "vit":
        if model.normed_after_pooling:
            problem = "its norm comes before the pooling"
        elif name in _SCALED and model.layer_scale_init_value is None:
            problem = "it has LayerScale, and this model has none"
    if problem is not None:
        raise UsageError(
            f"The layout {name!r} does not fit: {problem}. Received: {model.name!r}. "
            "Choose layout='timm', or export a model with num_classes=0 where the head is the "
            "reason"
        )


def _needs(model: ScoreModel, name: str) -> Mapping[str, Any]:
    needs = dict(_NEEDS[name])
    if name == "timm" or model.family != "vit":
        return needs
    # No publisher's code has it as an argument.
    needs["activation"] = "silu" if model.mlp_type == "gated" else "gelu"
    if name == "dinov2":
        # With registers, the class token's position is part of the token.
        needs["position_embedding"] = "patches" if model.num_registers else "all"
    elif name == "dinov3" and model.use_qkv_bias:
        needs["use_key_bias"] = False
    return needs


def _markers(model: ScoreModel, name: str) -> set[str]:
    """Return names that tell `vit_layout` which of its rules apply."""
    markers = set()
    if model.normed_after_pooling and model.use_final_norm:
        markers.add("fc_norm.weight")
    if model.block_type == "branched":
        markers.add("blocks.0.attns.0.norm.weight")
    if model.block_type == "parallel":
        markers.update(_parallel_markers(model))
    markers.update(_eva_markers(model))
    is_gated = model.mlp_type == "gated"
    if is_gated and factory.canonical_name(model.name).startswith("aimv2"):
        markers.add("blocks.0.mlp.fc1_g.weight")
    if name == "deit3":
        markers.add("blocks.0.gamma_1")
    if name == "dinov2":
        markers.add("mask_token")
        markers.update({"blocks.0.mlp.w12.weight"} if is_gated else ())
        markers.update({"register_tokens"} if model.num_registers else ())
    return markers


def _eva_markers(model: ScoreModel) -> set[str]:
    markers = set()
    if is_evas(model) or is_beits(model):
        markers.add("blocks.0.gamma_1")
    else:
        markers.add("pos_embed")
    if is_separate(model):
        markers.add("blocks.0.attn.q_proj.weight")
    elif not model.use_key_bias:
        markers.add("blocks.0.attn.q_bias")
    if has_separate_gate(model):
        markers.add("blocks.0.mlp.fc1_g.weight")
    return markers


def _parallel_markers(model: ScoreModel) -> set[str]:
    markers = {"blocks.0.in_proj.weight"}
    if model.use_qkv_bias:
        markers.add("blocks.0.in_proj.bias")
    if model.attention_type == "differential":
        markers.add("blocks.0.out_proj.weight")
    return markers
