"""What a checkpoint holds, read off its tensor names and shapes: its layout and architecture."""

import dataclasses
import math
import re
from typing import Any

from kerasvit.conversion import layouts
from kerasvit.conversion.checkpoint import Checkpoint
from kerasvit.conversion.rules import Layout
from kerasvit.errors import InputError

# Arguments that a file decides and that a named variant must agree with.
STRUCTURE = (
    "patch_size",
    "hidden_dim",
    "num_layers",
    "num_class_layers",
    "mlp_dim",
    "mlp_type",
    "use_distillation_token",
    "num_registers",
    "use_qkv_bias",
    "use_qk_norm",
    "use_pre_norm",
)


@dataclasses.dataclass(frozen=True)
class Detected:
    """What a checkpoint says about itself.

    Args:
        family: "vit" or "cait".
        layout: how it names its tensors.
        structure: the arguments of `STRUCTURE` that apply to the family, as the file has them.
        num_classes: classes of its head, 0 without one.
        num_positions: patches that its position embedding covers.
        position_embedding: "all", "patches" or None (CaiT).
        has_layer_scale: whether it holds LayerScale factors.
        norm_after_pooling: whether the last norm is named as one that acts on the pooled feature.
    """

    family: str
    layout: Layout
    structure: dict[str, Any]
    num_classes: int
    num_positions: int
    position_embedding: str | None
    has_layer_scale: bool
    norm_after_pooling: bool

    @property
    def summary(self) -> str:
        """The architecture in a few words, for errors."""
        name = {"vit": "a ViT", "cait": "a CaiT"}[self.family]
        facts = self.structure
        patch = "x".join(map(str, facts["patch_size"]))
        extra = [
            text
            for text, present in (
                (f"{facts.get('num_class_layers')} class-attention blocks", self.family == "cait"),
                ("a distillation token", facts.get("use_distillation_token")),
                (f"{facts.get('num_registers')} registers", facts.get("num_registers")),
                ("a gated MLP", facts.get("mlp_type") == "gated"),
                ("LayerScale", self.has_layer_scale),
            )
            if present
        ]
        return (
            f"{name} of {facts['num_layers']} blocks, width {facts['hidden_dim']}, patches of "
            f"{patch}" + "".join(f", {text}" for text in extra)
        )


def detect(checkpoint: Checkpoint) -> Detected:
    """Read the architecture off an unwrapped checkpoint.

    Raises:
        InputError: if it holds neither a ViT nor a CaiT in a layout that is known.
    """
    names = set(checkpoint.names)
    needed = ("patch_embed.proj.weight", "cls_token", "pos_embed", "blocks.0.norm1.weight")
    missing = [name for name in needed if name not in names]
    if missing or len(checkpoint.shape("patch_embed.proj.weight")) != 4:
        raise InputError(
            f"{checkpoint.label} holds no ViT or CaiT in the layout of timm, DINO, DINOv2, DeiT or "
            f"CaiT: it must have {', '.join(needed)}. Received: {len(names)} tensors without "
            f"{', '.join(missing) or 'a convolution there'}, such as "
            f"{', '.join(sorted(names)[:3])}. Save the state dict of such a model"
        )
    return _detect_cait(checkpoint) if _is_cait(names) else _detect_vit(checkpoint)


def _is_cait(names) -> bool:
    return any(name.startswith("blocks_token_only.") for name in names)


def _detect_cait(checkpoint):
    return Detected(
        family="cait",
        layout=layouts.TIMM_CAIT,
        structure={
            **_common_structure(checkpoint),
            "num_class_layers": _count(checkpoint.names, "blocks_token_only"),
        },
        num_classes=_num_classes(checkpoint),
        num_positions=checkpoint.shape("pos_embed")[1],
        position_embedding=None,
        has_layer_scale=True,
        norm_after_pooling=False,
    )


def _detect_vit(checkpoint):
    names = set(checkpoint.names)
    structure = {
        **_common_structure(checkpoint),
        "mlp_type": "gated" if _is_gated(checkpoint) else "mlp",
        "use_distillation_token": "dist_token" in names,
        "num_registers": _num_registers(checkpoint),
        "use_qk_norm": "blocks.0.attn.q_norm.weight" in names,
        "use_pre_norm": "norm_pre.weight" in names,
    }
    prefix = 1 + structure["use_distillation_token"]
    positions, kind = _positions(checkpoint, prefix, structure["num_registers"])
    return Detected(
        family="vit",
        layout=_vit_layout(names, structure),
        structure=structure,
        num_classes=_num_classes(checkpoint),
        num_positions=positions,
        position_embedding=kind,
        has_layer_scale=bool(names & {"blocks.0.ls1.gamma", "blocks.0.gamma_1"}),
        norm_after_pooling="fc_norm.weight" in names,
    )


def _common_structure(checkpoint):
    projection = checkpoint.shape("patch_embed.proj.weight")
    return {
        "patch_size": tuple(projection[2:]),
        "hidden_dim": projection[0],
        "num_layers": _count(checkpoint.names, "blocks"),
        "mlp_dim": _mlp_dim(checkpoint),
        "use_qkv_bias": "blocks.0.attn.qkv.bias" in set(checkpoint.names),
    }


def _count(names, prefix) -> int:
    pattern = re.compile(rf"{prefix}\.(\d+)\.")
    numbers = [int(match[1]) for match in map(pattern.match, names) if match]
    return max(numbers, default=-1) + 1


def _output_weight(checkpoint):
    for name in ("blocks.0.mlp.fc2.weight", "blocks.0.mlp.w3.weight"):
        if name in set(checkpoint.names):
            return checkpoint.shape(name)
    raise InputError(
        f"{checkpoint.label} has no MLP in its first block: blocks.0.mlp.fc2.weight must be there. "
        "Received: neither it nor blocks.0.mlp.w3.weight. Save the whole state dict"
    )


def _mlp_dim(checkpoint) -> int:
    return _output_weight(checkpoint)[-1]


def _is_gated(checkpoint) -> bool:
    names = set(checkpoint.names)
    if "blocks.0.mlp.w12.weight" in names:
        return True
    first = "blocks.0.mlp.fc1.weight"
    return first in names and checkpoint.shape(first)[0] == 2 * _mlp_dim(checkpoint)


def _num_registers(checkpoint) -> int:
    for name in ("reg_token", "register_tokens"):
        if name in set(checkpoint.names):
            return checkpoint.shape(name)[1]
    return 0


def _num_classes(checkpoint) -> int:
    return checkpoint.shape("head.weight")[0] if "head.weight" in set(checkpoint.names) else 0


def _positions(checkpoint, prefix, registers):
    """Count the patch positions; the class token has one unless only then the grid is square."""
    length = checkpoint.shape("pos_embed")[1]
    if "register_tokens" in set(checkpoint.names):
        return length - 1, "patches"
    if registers:
        prefix += registers
    for without, kind in ((prefix, "all"), (0, "patches")):
        if math.isqrt(max(length - without, 0)) ** 2 == length - without:
            return length - without, kind
    return length - prefix, "all"


def _vit_layout(names, structure) -> Layout:
    gated = structure["mlp_type"] == "gated"
    if "register_tokens" in names:
        return layouts.DINOV2_REGISTERS_GATED if gated else layouts.DINOV2_REGISTERS_MLP
    if "blocks.0.mlp.w12.weight" in names:
        return layouts.DINOV2_GATED
    if "mask_token" in names:
        return layouts.DINOV2_MLP
    if "blocks.0.gamma_1" in names:
        return layouts.DEIT3
    if "fc_norm.weight" in names:
        return layouts.TIMM_VIT_NORM_AFTER_POOLING
    return layouts.TIMM_VIT
