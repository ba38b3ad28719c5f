"""timm's arguments for the models of its EVA module, and what it leaves without values.

Source: timm/models/eva.py `Eva.__init__`, timm/layers/pos_embed_sincos.py.
"""

from typing import Any

from kerasvit.conversion.names.eva_rules import has_separate_gate, is_separate
from kerasvit.conversion.proof.timm.modules.base import (
    SAME,
    TIMMS_POOLINGS,
    TimmModule,
    TimmObject,
)
from kerasvit.layers.rotary.rules import RULES, dinov3_periods
from kerasvit.models.base import ScoreModel

_TIMMS_RULES = {"dinov3": "dinov3", "mixed": "mixed"}


class EvaLike(TimmModule):
    """What the modules of EVA and BEiT share."""

    def arguments(self) -> dict[str, Any]:
        """Return timm's arguments; a class is told which kind of model it is, too."""
        arguments = super().arguments() | self._read_out()
        return arguments if self.is_named else arguments | self._kind()

    def _read_out(self) -> dict[str, Any]:
        """Return the pooling and the place of the last norm, which are always told."""
        raise NotImplementedError

    def _kind(self) -> dict[str, Any]:
        """Return what tells timm's class which kind of model it is."""
        raise NotImplementedError

    def objects(self) -> dict[str, TimmObject]:
        """Return the norm, where the model has another than timm's of its name."""
        has_own = {"layer_norm_epsilon", "norm_type"} & set(self.differing)
        return {} if self.is_named and not has_own else {"norm_layer": self.norm_layer()}

    def complete(self, module: Any) -> None:
        """Give values to what timm keeps in no file."""
        import torch

        for part in module.modules():
            if not hasattr(part, "init_non_persistent_buffers"):
                continue
            for name, buffer in part.named_buffers(recurse=False):
                if buffer.is_meta:
                    values = torch.empty_like(buffer, device="cpu")
                    part.register_buffer(name, values, persistent=False)
            part.init_non_persistent_buffers()


class EvaModule(EvaLike):
    """A `VisionTransformer` with rotary positions, or with queries, keys and values apart."""

    name, class_name = "eva", "Eva"
    same = SAME | {
        "use_qk_norm": "qk_norm",
        "use_class_token": "class_token",
        "num_registers": "num_reg_tokens",
        "use_pre_norm": "use_pre_transformer_norm",
        "pooling_heads": "attn_pool_num_heads",
        "rope_reference_grid": "ref_feat_shape",
        "rope_offset": "rope_grid_offset",
    }
    handled = frozenset(
        {
            *("rope_type", "rope_temperature", "rope_periods", "use_key_bias"),
            *("num_key_value_heads", "full_head_blocks", "use_sub_norm", "use_mlp_sub_norm"),
            *("use_mlp_layer_scale", "pooling_mlp_dim", "pool_prefix", "use_final_norm"),
            *("norm_type", "block_type"),
        }
    )

    def arguments(self) -> dict[str, Any]:
        """Return timm's arguments, further widths among them."""
        return super().arguments() | self._widths()

    def _read_out(self) -> dict[str, Any]:
        model = self.model
        has_norm_after = model.use_final_norm and model.normed_after_pooling
        return {
            **self.always_told(),
            "use_fc_norm": has_norm_after,
            "use_post_transformer_norm": model.use_final_norm and not has_norm_after,
        }

    def always_told(self) -> dict[str, Any]:
        """Return the pooling: timm's own of DINOv3 is another than its authors'."""
        return {"global_pool": TIMMS_POOLINGS[self.model.pooling]}

    def _widths(self) -> dict[str, Any]:
        model, differing = self.model, set(self.differing)
        widths: dict[str, Any] = {}
        if has_separate_gate(model) and {"hidden_dim", "mlp_dim"} & differing:
            widths["swiglu_align_to"] = 1
        pooling_widths = {"hidden_dim", "mlp_dim", "pooling_mlp_dim"}
        if model.pooling == "attention" and pooling_widths & differing:
            widths["attn_pool_mlp_ratio"] = self.ratio(model.pooling_mlp_dim or model.mlp_dim)
        if {"num_layers", "num_heads", "num_key_value_heads", "full_head_blocks"} & differing:
            widths["num_kv_heads"] = _key_value_heads(model)
        return widths

    def _kind(self) -> dict[str, Any]:
        model = self.model
        rule = RULES.get(model.rope_type)
        kind = {
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
            kind |= {
                "rope_type": _TIMMS_RULES.get(model.rope_type, "cat"),
                "rope_grid_indexing": "ij" if rule.order == "rows" else "xy",
                "rope_temperature": model.rope_temperature or rule.temperature,
                "rope_rotate_half": rule.layout == "halves",
            }
        return kind

    def complete(self, module: Any) -> None:
        """Give values to what timm keeps in no file, and to rotary periods those of the model."""
        import torch

        super().complete(module)
        rope: Any = getattr(module, "rope", None)
        if not hasattr(rope, "periods"):
            return
        periods = dinov3_periods(4 * len(rope.periods), rope.temperature, self.model.rope_periods)
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
