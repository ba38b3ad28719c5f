"""What a checkpoint holds, read off its tensor names and shapes: its layout and architecture."""

import dataclasses
import re
from typing import Any

from kerasvit.conversion.architecture import xcit
from kerasvit.conversion.architecture.first_block import has_layer_scale, read_block
from kerasvit.conversion.architecture.stored_positions import patches_by_kind, relative_grids
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names import layouts
from kerasvit.conversion.names.rules import Layout
from kerasvit.errors import InputError

# Arguments that a file decides and that a named variant must agree with.
STRUCTURE = (
    "patch_size",
    "hidden_dim",
    "num_layers",
    "num_class_layers",
    "mlp_dim",
    "mlp_type",
    "use_class_token",
    "use_distillation_token",
    "num_registers",
    "use_qkv_bias",
    "use_key_bias",
    "num_key_value_heads",
    "full_head_blocks",
    "use_relative_position_bias",
    "use_qk_norm",
    "use_projection_bias",
    "use_sub_norm",
    "use_mlp_sub_norm",
    "use_mlp_layer_scale",
    "pooling_mlp_dim",
    "use_patch_norm",
    "use_pre_norm",
    "use_final_norm",
    "norm_type",
    "block_type",
    "attention_type",
)


@dataclasses.dataclass(frozen=True)
class Detected:
    """What a checkpoint says about itself.

    Args:
        family: "vit", "cait" or "xcit".
        layout: how it names its tensors.
        structure: the arguments of `STRUCTURE` that apply to the family, as the file has them.
        num_classes: classes of its head, 0 without one.
        channels: of the images.
        stored_positions: length of its position embedding; 0 without one.
        patches_by_kind: number of patches that these are of, if "all" tokens have a position, and
            if the "patches" alone have one; None in the place of a kind for CaiT.
        has_layer_scale: whether it holds LayerScale factors.
        norm_after_pooling: whether the last norm is named as one that acts on the pooled feature.
        has_attention_pooling: whether it holds the weights of attention pooling.
        has_learned_frequencies: whether it holds frequencies of rotary positions.
        relative_grids: the grids of patches whose distances its relative biases may be of; none
            without them.
        has_vits_scale: whether its LayerScale has the names of timm's ViT module.
    """

    family: str
    layout: Layout
    structure: dict[str, Any]
    num_classes: int
    channels: int
    stored_positions: int
    patches_by_kind: dict[str | None, int]
    has_layer_scale: bool
    norm_after_pooling: bool
    has_attention_pooling: bool = False
    has_learned_frequencies: bool = False
    relative_grids: tuple[tuple[int, int], ...] = ()
    has_vits_scale: bool = False

    @property
    def has_position_table(self) -> bool:
        """Whether it holds learned positions."""
        return self.stored_positions > 0

    @property
    def summary(self) -> str:
        """The architecture in a few words, for errors."""
        name = {"vit": "a ViT", "cait": "a CaiT", "xcit": "an XCiT"}[self.family]
        facts = self.structure
        patch = "x".join(map(str, facts["patch_size"]))
        channels = "" if self.channels == 3 else f", {self.channels} channels"
        extra = [
            text
            for text, present in (
                (
                    f"{facts.get('num_class_layers')} class-attention blocks",
                    "num_class_layers" in facts,
                ),
                ("a distillation token", facts.get("use_distillation_token")),
                (f"{facts.get('num_registers')} registers", facts.get("num_registers")),
                ("a gated MLP", facts.get("mlp_type") == "gated"),
                ("no class token", not facts.get("use_class_token", True)),
                ("a pre-norm", facts.get("use_pre_norm")),
                ("no norm at the end", not facts.get("use_final_norm", True)),
                (f"{facts.get('block_type')} blocks", facts.get("block_type") in _UNUSUAL_BLOCKS),
                ("differential attention", facts.get("attention_type") == "differential"),
                ("RMS norms", facts.get("norm_type") == "rms"),
                ("sub-norms", facts.get("use_sub_norm")),
                ("attention pooling", self.has_attention_pooling),
                ("no biases of keys", not facts.get("use_key_bias", True)),
                ("no learned positions", not self.has_position_table),
                ("rotary frequencies", self.has_learned_frequencies),
                ("relative position biases", bool(self.relative_grids)),
                ("LayerScale", self.has_layer_scale),
            )
            if present
        ]
        return (
            f"{name} of {facts['num_layers']} blocks, width {facts['hidden_dim']}, patches of "
            f"{patch}{channels}" + "".join(f", {text}" for text in extra)
        )


def detect(checkpoint: Checkpoint) -> Detected:
    """Read the architecture off an unwrapped checkpoint.

    Raises:
        InputError: if it holds neither a ViT nor a CaiT in a layout that is known.
    """
    names = set(checkpoint.names)
    if xcit.is_xcit(names):
        return Detected(**xcit.read(checkpoint), num_classes=_num_classes(checkpoint))
    wanted = ["patch_embed.proj.weight"]
    if not names & _WITHOUT_TABLE:
        wanted.append("pos_embed")
    missing = [name for name in wanted if name not in names]
    if not any(f"blocks.0.{norm}.weight" in names for norm in _FIRST_NORMS):
        missing.append("blocks.0.norm1.weight")
    if missing or len(checkpoint.shape("patch_embed.proj.weight")) != 4:
        raise InputError(
            f"{checkpoint.label} holds no ViT or CaiT in the layout of timm, DINO, DINOv2, DeiT or "
            "CaiT: it must have patch_embed.proj.weight, pos_embed and blocks.0.norm1.weight. "
            f"Received: {len(names)} tensors without "
            f"{', '.join(missing) or 'a convolution there'}, such as "
            f"{', '.join(sorted(names)[:3])}. Save the state dict of such a model"
        )
    return _detect_cait(checkpoint) if _is_cait(names) else _detect_vit(checkpoint)


# LayerScale under the names of timm's EVA module: all its models without learned positions have it.
_WITHOUT_TABLE = {"blocks.0.gamma_1"}
_FIRST_NORMS = ("norm1", "in_norm", "attns.0.norm")
_UNUSUAL_BLOCKS = ("parallel", "branched")


def _is_cait(names) -> bool:
    return any(name.startswith("blocks_token_only.") for name in names)


def _detect_cait(checkpoint):
    block = read_block(checkpoint)
    return Detected(
        family="cait",
        layout=layouts.TIMM_CAIT,
        structure={
            **_common_structure(checkpoint),
            **{name: block[name] for name in ("mlp_dim", "use_qkv_bias")},
            "num_class_layers": _count(checkpoint.names, "blocks_token_only"),
        },
        num_classes=_num_classes(checkpoint),
        channels=checkpoint.shape("patch_embed.proj.weight")[1],
        stored_positions=checkpoint.shape("pos_embed")[1],
        patches_by_kind={None: checkpoint.shape("pos_embed")[1]},
        has_layer_scale=True,
        norm_after_pooling=False,
    )


def _detect_vit(checkpoint):
    names = set(checkpoint.names)
    structure = {
        **_common_structure(checkpoint),
        **read_block(checkpoint),
        "use_class_token": "cls_token" in names,
        "use_distillation_token": "dist_token" in names,
        "num_registers": _num_registers(checkpoint),
        "use_patch_norm": "patch_embed.norm.weight" in names,
        "use_pre_norm": "norm_pre.weight" in names,
        "use_final_norm": bool(names & {"norm.weight", "fc_norm.weight"}),
    }
    structure |= _pooling_mlp(checkpoint, structure["mlp_dim"])
    return Detected(
        family="vit",
        layout=layouts.vit_layout(names),
        structure=structure,
        num_classes=_num_classes(checkpoint),
        channels=checkpoint.shape("patch_embed.proj.weight")[1],
        stored_positions=checkpoint.shape("pos_embed")[1] if "pos_embed" in names else 0,
        patches_by_kind=patches_by_kind(checkpoint, structure) if "pos_embed" in names else {},
        has_layer_scale=has_layer_scale(checkpoint),
        norm_after_pooling="fc_norm.weight" in names,
        has_attention_pooling="attn_pool.latent" in names,
        has_learned_frequencies="rope.freqs" in names,
        relative_grids=relative_grids(checkpoint),
        has_vits_scale="blocks.0.ls1.gamma" in names,
    )


def _pooling_mlp(checkpoint, mlp_dim: int) -> dict[str, int]:
    """Return the width of attention pooling's MLP, where it is not that of a block."""
    name = "attn_pool.mlp.fc1.weight"
    width = checkpoint.shape(name)[0] if name in checkpoint.names else mlp_dim
    return {} if width == mlp_dim else {"pooling_mlp_dim": width}


def _common_structure(checkpoint):
    projection = checkpoint.shape("patch_embed.proj.weight")
    return {
        "patch_size": tuple(projection[2:]),
        "hidden_dim": projection[0],
        "num_layers": _count(checkpoint.names, "blocks"),
    }


def _count(names, prefix) -> int:
    pattern = re.compile(rf"{prefix}\.(\d+)\.")
    numbers = [int(match[1]) for match in map(pattern.match, names) if match]
    return max(numbers, default=-1) + 1


def _num_registers(checkpoint) -> int:
    for name in ("reg_token", "register_tokens"):
        if name in set(checkpoint.names):
            return checkpoint.shape(name)[1]
    return 0


def _num_classes(checkpoint) -> int:
    return checkpoint.shape("head.weight")[0] if "head.weight" in set(checkpoint.names) else 0
