"""timm's arguments for the models of its EVA module, and what it leaves without values.

Source: timm/models/eva.py `Eva.__init__`, timm/layers/pos_embed_sincos.py.
"""

import functools
import types
from typing import Any

from kerasvit.conversion.names.eva_rules import has_separate_gate, is_separate
from kerasvit.layers.rotary.rules import RULES, dinov3_periods
from kerasvit.models.base import ScoreModel

# Ours and timm's, with the same values.
SAME = {
    "hidden_dim": "embed_dim",
    "num_layers": "depth",
    "num_heads": "num_heads",
    "use_qkv_bias": "qkv_bias",
    "use_qk_norm": "qk_norm",
    "use_class_token": "class_token",
    "num_registers": "num_reg_tokens",
    "use_pre_norm": "use_pre_transformer_norm",
    "layer_scale_init_value": "init_values",
    "patch_size": "patch_size",
    "pooling_heads": "attn_pool_num_heads",
    "rope_reference_grid": "ref_feat_shape",
    "rope_offset": "rope_grid_offset",
}
# Told by others, or handled by themselves.
OTHERS = {
    *("rope_type", "rope_temperature", "rope_periods", "use_key_bias", "num_key_value_heads"),
    *("full_head_blocks", "use_sub_norm", "use_mlp_sub_norm", "use_mlp_layer_scale"),
    *("pooling_mlp_dim", "pool_prefix", "use_final_norm", "norm_type", "block_type"),
}
_TIMMS_RULES = {"dinov3": "dinov3", "mixed": "mixed"}


def differing_arguments(model: ScoreModel, differing: dict[str, Any]) -> dict[str, Any]:
    """Return timm's arguments for what a model has otherwise than a named one, or than the class.

    Args:
        model: a Keras model.
        differing: its arguments that are others, with their values.
    """
    arguments = {theirs: differing[ours] for ours, theirs in SAME.items() if ours in differing}
    if {"hidden_dim", "mlp_dim"} & set(differing):
        arguments["mlp_ratio"] = (model.mlp_dim + 0.5) / model.hidden_dim
        if has_separate_gate(model):
            arguments["swiglu_align_to"] = 1
    pooling_mlp = {"hidden_dim", "mlp_dim", "pooling_mlp_dim"} & set(differing)
    if model.pooling == "attention" and pooling_mlp:
        width = model.pooling_mlp_dim or model.mlp_dim
        arguments["attn_pool_mlp_ratio"] = (width + 0.5) / model.hidden_dim
    if {"num_layers", "num_heads", "num_key_value_heads", "full_head_blocks"} & set(differing):
        arguments["num_kv_heads"] = _key_value_heads(model)
    return arguments


def whole_arguments(model: ScoreModel) -> dict[str, Any]:
    """Return all arguments of timm's class for a model that timm has no name for."""
    rule = RULES.get(model.rope_type)
    arguments = {
        **{theirs: getattr(model, ours) for ours, theirs in SAME.items()},
        **differing_arguments(model, {"hidden_dim": model.hidden_dim, "num_layers": 0}),
        "qkv_fused": not is_separate(model),
        "attn_type": "rope" if model.use_key_bias and model.use_qkv_bias else "eva",
        "swiglu_mlp": model.mlp_type == "gated",
        "scale_mlp": model.use_sub_norm or model.use_mlp_sub_norm,
        "scale_attn_inner": model.use_sub_norm,
        "attn_only_layer_scale": not model.use_mlp_layer_scale,
        "use_abs_pos_emb": model.has_position_table,
        "no_embed_class": model.position_embedding == "patches",
        "use_rot_pos_emb": rule is not None,
        "use_post_norm": model.block_type == "post_norm",
        "dynamic_img_size": model.rope_type == "dinov3",
    }
    if rule is not None:
        arguments |= {
            "rope_type": _TIMMS_RULES.get(model.rope_type, "cat"),
            "rope_grid_indexing": "ij" if rule.order == "rows" else "xy",
            "rope_temperature": model.rope_temperature or rule.temperature,
            "rope_rotate_half": rule.layout == "halves",
        }
    return arguments


def norm_layer(timm: types.ModuleType, model: ScoreModel) -> Any:
    """Return the class of a model's norms, with their epsilon."""
    kind = timm.layers.RmsNorm if model.norm_type == "rms" else timm.layers.LayerNorm
    return functools.partial(kind, eps=model.layer_norm_epsilon)


def fill_buffers(module: Any, model: ScoreModel) -> None:
    """Give values to what timm keeps in no file, and to rotary periods those of the model.

    Args:
        module: timm's, made on the meta device and filled from a file.
        model: the Keras model.
    """
    import torch

    for part in module.modules():
        if not hasattr(part, "init_non_persistent_buffers"):
            continue
        for name, buffer in part.named_buffers(recurse=False):
            if buffer.is_meta:
                values = torch.empty_like(buffer, device="cpu")
                part.register_buffer(name, values, persistent=False)
        part.init_non_persistent_buffers()
    rope: Any = getattr(module, "rope", None)
    if hasattr(rope, "periods"):
        periods = dinov3_periods(4 * len(rope.periods), rope.temperature, model.rope_periods)
        rope.periods.copy_(torch.from_numpy(periods))
        if rope.feat_shape is not None:
            # timm makes its table anew for a shape that is another.
            rows, columns = rope.feat_shape
            rope.update_feat_shape([rows + 1, columns])
            rope.update_feat_shape([rows, columns])


def _key_value_heads(model: ScoreModel) -> tuple[int, ...] | None:
    if model.num_key_value_heads is None:
        return None
    return tuple(block.num_key_value_heads or model.num_heads for block in model.blocks)
