"""DINOv3's weights as its authors' own code names them, and what becomes of its periods.

Facts: dinov3/models/vision_transformer.py (`load_state_dict` of all its tensors, `bias_mask` and
`rope_embed.periods` among them), dinov3/hub/backbones.py (`untie_global_and_local_cls_norm`).
"""

import dataclasses
from typing import Any

import numpy as np

from kerasvit.conversion.names.export.layout import MASK_TOKEN, ExportLayout
from kerasvit.conversion.names.foreign.dinov3 import META, PERIODS
from kerasvit.conversion.names.foreign.shared_rules import GATED_MLP
from kerasvit.conversion.names.transforms import Rule
from kerasvit.layers.rotary.rules import RULES, dinov3_periods
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel

_LOCAL_NORM = "local_cls_norm"


def dinov3_layout(model: Any, timms: ExportLayout) -> ExportLayout:
    """Return the names of Meta's own files.

    Args:
        model: a DINOv3.
        timms: its names in timm.
    """
    temperature = model.rope_temperature or RULES["dinov3"].temperature
    head_dim = model.hidden_dim // model.num_heads
    constants = {
        "mask_token": np.zeros((1, model.hidden_dim), "float32"),
        PERIODS: dinov3_periods(head_dim, temperature, model.rope_periods),
    }
    notes = [MASK_TOKEN]
    if _wants_local_norm(model):
        constants[f"{_LOCAL_NORM}.weight"] = np.ones(model.hidden_dim, "float32")
        constants[f"{_LOCAL_NORM}.bias"] = np.zeros(model.hidden_dim, "float32")
        notes.append(
            f"{_LOCAL_NORM} is ones and zeros: only training reads it, and it is not kept."
        )
    is_gated = model.mlp_type == "gated"
    renaming = tuple(
        Rule(tuple(map(_file_name, rule.sources)), rule.target, rule.kind)
        for rule in META.rules
        if is_gated or rule not in GATED_MLP
    )
    return dataclasses.replace(
        timms, renaming=renaming, keeps_others=True, constants=constants, notes=tuple(notes)
    )


def _file_name(name: str) -> str:
    return name.replace(".masked_bias", ".bias")


def _wants_local_norm(model: ScoreModel) -> bool:
    """Tell whether Meta's network of this name has one, or the file that the model comes from."""
    source = model.record.get("source") or {}
    published = str(model.record.get("release") or ""), str(source.get("file") or "")
    return (
        f"{_LOCAL_NORM}.weight" in (source.get("dropped") or {})
        or factory.canonical_name(model.name).startswith("vit_7b")
        or any("sat493m" in name for name in published)
    )


def notes_on_periods(model: Any, package: str) -> tuple[str, ...]:
    """Return what a user of a package must know that computes DINOv3's periods in float32."""
    periods = getattr(model, "rope_periods", "float32")
    if getattr(model, "rope_type", None) != "dinov3" or periods == "float32":
        return ()
    named = periods if isinstance(periods, str) else "of its own"
    return (
        f"{package} computes the rotary periods in float32, and this model's are {named}: its "
        "scores there differ.",
    )
