"""What a config of Hugging Face's transformers says of a network.

Facts: `transformers/models/{vit,deit,vit_msn,ijepa,dinov2,dinov2_with_registers,dinov3_vit,beit,
data2vec,clip,siglip}/configuration_*.py` and `modeling_*.py`, release 5.24.
"""

import re
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.facts.activations import activation_named
from kerasvit.layers.rotary.rules import RULES

_VIT = {
    "num_attention_heads": 12,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "image_size": 224,
    "num_channels": 3,
}
_EXACT = {**_VIT, "layer_norm_eps": 1e-6}
# What a config that leaves a key out means, by its model_type.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "vit": _VIT,
    "deit": _VIT,
    "vit_msn": _EXACT,
    "ijepa": _VIT,
    "dinov2": _EXACT,
    "dinov2_with_registers": _EXACT,
    "dinov3_vit": {**_VIT, "num_attention_heads": 6, "layer_norm_eps": 1e-5},
    "beit": _VIT,
    "data2vec-vision": _VIT,
    "clip_vision_model": {**_VIT, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    "siglip_vision_model": {**_EXACT, "hidden_act": "gelu_pytorch_tanh"},
}
# What the code of a type fixes, whatever its config says.
_FIXED: Mapping[str, Mapping[str, Any]] = {
    "vit": {"pooling": "class", "position_embedding": "all"},
    "deit": {"pooling": "class", "position_embedding": "all"},
    "vit_msn": {"pooling": "class", "position_embedding": "all"},
    "ijepa": {"pooling": "average", "norm_after_pooling": False},
    "dinov2": {"pooling": "class", "position_embedding": "all"},
    "dinov2_with_registers": {"pooling": "class", "position_embedding": "patches"},
    "dinov3_vit": {"pooling": "class", "position_embedding": "none", "rope_type": "dinov3"},
    "beit": {},
    "data2vec-vision": {},
    "clip_vision_model": {"pooling": "class", "position_embedding": "all"},
    "siglip_vision_model": {},
}
_NUMBERED = re.compile(r"LABEL_\d+")


def vision_config(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the part of a config that describes the network of pictures, if it is a known one."""
    kind = config.get("model_type")
    nested = config.get("vision_config")
    if isinstance(nested, Mapping) and kind in ("clip", "siglip"):
        return {"model_type": f"{kind}_vision_model", **nested}
    return config if kind in DEFAULTS else None


def of_config(config: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the facts of a config.

    Args:
        config: one that `vision_config` returned.
        origin: what messages call it.

    Raises:
        InputError: if it asks for an activation that no model of this package has.
    """
    kind = config["model_type"]
    full = {**DEFAULTS[kind], **{key: value for key, value in config.items() if value is not None}}
    image_size = _pair(full["image_size"])
    facts = {
        "num_heads": full["num_attention_heads"],
        "layer_norm_epsilon": float(full["layer_norm_eps"]),
        "activation": activation_named(_activation(full), origin),
        "image_size": image_size,
        "channels": full["num_channels"],
        **_FIXED[kind],
    }
    for name, key in (("hidden_dim", "hidden_size"), ("num_layers", "num_hidden_layers")):
        if key in config:
            facts[name] = config[key]
    if "patch_size" in config:
        facts["patch_size"] = _pair(config["patch_size"])
    if kind == "dinov2_with_registers" and "num_register_tokens" in config:
        facts["num_registers"] = config["num_register_tokens"]
    if kind == "dinov3_vit" and config.get("rope_theta"):
        facts["rope_temperature"] = _temperature(config["rope_theta"])
    if kind == "dinov3_vit" and config.get("rope_periods"):
        facts["rope_periods"] = config["rope_periods"]  # an export of ours says it
    if config.get("problem_type"):
        facts["problem_type"] = config["problem_type"]
    names = _class_names(config.get("id2label"))
    return {**facts, "class_names": names} if names else facts


def _temperature(theta: float) -> float | None:
    """Return the temperature of rotary positions, None for the one that DINOv3 has itself."""
    return None if theta == RULES["dinov3"].temperature else float(theta)


def _activation(config: Mapping[str, Any]) -> str:
    # DINOv2's gated MLP takes SiLU whatever hidden_act says.
    return "silu" if config.get("use_swiglu_ffn") else config["hidden_act"]


def _class_names(labels: Any) -> list[str]:
    """Return the names in order; none for the numbers that stand in for them."""
    if not isinstance(labels, Mapping):
        return []
    try:
        ordered = [str(labels[key]) for key in sorted(labels, key=int)]
    except (TypeError, ValueError):
        return []
    return [] if all(map(_NUMBERED.fullmatch, ordered)) else ordered


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)
