"""What timm's hub `config.json` says of a network: its `architecture`, `model_args` and pictures.

Facts: timm/models/_hub.py `save_config_for_hf` and the constructors of
timm/models/{vision_transformer,deit,cait,xcit}.py.
"""

from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.facts.activations import activation_named
from kerasvit.conversion.facts.pictures import of_pretrained_cfg
from kerasvit.models import factory

POOLINGS = {
    "token": "class",
    "avg": "average",
    "max": "max",
    "avgmax": "average_max",
    "map": "attention",
}
# Arguments of timm's constructors that have one of ours with the same values.
_SAME = {
    "num_heads": "num_heads",
    "embed_dim": "hidden_dim",
    "depth": "num_layers",
    "depth_token_only": "num_class_layers",
    "cls_attn_layers": "num_class_layers",
    "tokens_norm": "use_tokens_norm",
    "eta": "layer_scale_init_value",
    "in_chans": "channels",
    "qkv_bias": "use_qkv_bias",
    "qk_norm": "use_qk_norm",
    "class_token": "use_class_token",
    "reg_tokens": "num_registers",
    "pre_norm": "use_pre_norm",
    "final_norm": "use_final_norm",
    # Of the EVA module.
    "num_reg_tokens": "num_registers",
    "use_pre_transformer_norm": "use_pre_norm",
    "use_fc_norm": "norm_after_pooling",
    "fc_norm": "norm_after_pooling",
    "pool_include_prefix": "pool_prefix",
    "init_values": "layer_scale_init_value",
}


def is_config(config: Mapping[str, Any]) -> bool:
    """Tell timm's config from others."""
    return isinstance(config.get("architecture"), str) and "pretrained_cfg" in config


def of_arguments(arguments: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the facts that arguments of timm's constructors state."""
    facts = {
        ours: arguments[name] for name, ours in _SAME.items() if arguments.get(name) is not None
    }
    for name, ours in (("img_size", "image_size"), ("patch_size", "patch_size")):
        if arguments.get(name) is not None:
            size = arguments[name]
            facts[ours] = (size, size) if isinstance(size, int) else tuple(size)
    if arguments.get("no_embed_class") is not None:
        facts["position_embedding"] = "patches" if arguments["no_embed_class"] else "all"
    if isinstance(arguments.get("act_layer"), str):
        facts["activation"] = activation_named(arguments["act_layer"], origin)
    if arguments.get("global_pool") in POOLINGS:
        facts["pooling"] = POOLINGS[arguments["global_pool"]]
    return facts


def of_config(config: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the facts of a hub config: arguments, pictures and names of classes."""
    arguments = dict(config.get("model_args") or {})
    # timm writes the average beside DINOv3's backbones, whose feature is their class token.
    is_told = not _is_dinov3_backbone(config)
    if is_told and config.get("global_pool") in POOLINGS:
        arguments.setdefault("global_pool", config["global_pool"])
    cfg = config.get("pretrained_cfg") or {}
    facts = {**of_arguments(arguments, origin), **of_pretrained_cfg(cfg)}
    facts |= _mlp_dim(arguments, config["architecture"])
    names = class_names({**cfg, **config})
    return {**facts, "class_names": names} if names else facts


def _is_dinov3_backbone(config: Mapping[str, Any]) -> bool:
    return "_dinov3" in config["architecture"] and not config.get("num_classes")


def _mlp_dim(arguments: Mapping[str, Any], architecture: str) -> dict[str, int]:
    """Return the width of the MLPs, which timm states as a multiple of a token's."""
    if not {"embed_dim", "mlp_ratio"} & set(arguments) or architecture not in factory.list_models():
        return {}
    variant = factory.variant(architecture)[1]
    width = arguments.get("embed_dim") or variant["hidden_dim"]
    # Of a gated MLP it counts both halves.
    halves = 2 if variant.get("mlp_type") == "gated" else 1
    ratio = arguments.get("mlp_ratio") or halves * variant["mlp_dim"] / variant["hidden_dim"]
    return {"mlp_dim": int(width * ratio) // halves}


def class_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the classes in a config, in the order of the logits; [] without."""
    labels, descriptions = config.get("label_names"), config.get("label_descriptions")
    if isinstance(labels, Mapping):  # by the number of the logit
        if sorted(labels, key=str) != sorted(map(str, range(len(labels))), key=str):
            return []
        labels = [labels[key] for key in sorted(labels, key=int)]
    if not isinstance(labels, list | tuple):
        return []
    described = descriptions if isinstance(descriptions, Mapping) else {}
    return [str(described.get(label, label)) for label in labels]
