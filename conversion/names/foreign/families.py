"""Families that are not built in, and weights that are no whole model: told by a tensor's name."""

import dataclasses
import re

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.errors import InputError

BUILT_IN = "ViT, DeiT, DINO, DINOv2, DINOv3, EVA, Perception Encoder, BEiT, CaiT and XCiT"

# EVA's and DINOv3's networks without learned positions have LayerScale.
_OWN = (("patch_embed.proj.weight",), ("pos_embed", "blocks.0.gamma_1"))


@dataclasses.dataclass(frozen=True)
class OtherFamily:
    """A row: which names tell it.

    Args:
        pattern: regular expression of a tensor's whole name.
        kind: what the checkpoint holds, after "holds".
        advice: what to do.
        always: whether the name tells it beside the names of a ViT too.
    """

    pattern: str
    kind: str
    advice: str = ""
    always: bool = False


_MERGE = "Merge it into the model first: model.merge_and_unload()"
_FULL = "Convert the checkpoint that it was quantised from"
_OTHERS = (
    OtherFamily(r".*\.lora_[AB]\..*", "an adapter (LoRA, PEFT), not merged", _MERGE, True),
    OtherFamily(r".*\.(SCB|weight_format)", "weights quantised by bitsandbytes", _FULL, True),
    OtherFamily(
        r".*\.(absmax|quant_map|quant_state\..*)", "weights quantised to 4 bits", _FULL, True
    ),
    OtherFamily(r".*\.(qweight|qzeros|g_idx)", "weights quantised by GPTQ or AWQ", _FULL, True),
    OtherFamily(r"(.*\.)?layers\.\d+\.blocks\.\d+\..*", "a Swin Transformer", "", True),
    OtherFamily(r"(.*\.)?encoder\.layers\.\d+\.blocks\.\d+\..*", "a Swin Transformer", "", True),
    OtherFamily(
        r"(rel_pos_bias|(.*\.)?encoder\.relative_position_bias|(.*\.)?shared_position_bias)"
        r"\.relative_position_bias_table",
        "a BEiT of masked training, whose blocks share their relative biases",
        "Convert weights that were fine-tuned, where each block has its own",
        True,
    ),
    OtherFamily(
        r"(?!blocks\.\d+\.attn\.relative).*relative_position_bias_table",
        "a network whose relative biases are not BEiT's",
        "",
        True,
    ),
    OtherFamily(r".*\.rel_pos_[hw]", "a SAM or ViTDet", "", True),
    OtherFamily(r".*\.(dwconv|conv_dw)\.weight", "a ConvNeXt"),
    OtherFamily(r"(.*\.)?layer1\.0\.conv1\.weight", "a ResNet"),
    OtherFamily(r"(.*\.)?conv_stem\.weight", "an EfficientNet or MobileNet"),
    OtherFamily(r"(.*\.)?patch_embed1\.proj\.weight", "a PVT or SegFormer"),
    OtherFamily(r".*\.attention_biases", "a LeViT"),
    OtherFamily(r".*\.mlp_tokens\..*", "an MLP-Mixer"),
    OtherFamily(r".*(word_embeddings|embed_tokens)\.weight", "a language model"),
)


def refuse_other_families(checkpoint: Checkpoint) -> None:
    """Raise `InputError` for a checkpoint of a family that is not built in, with its name.

    Args:
        checkpoint: an unwrapped checkpoint in timm's names.
    """
    is_ours = all(any(name in checkpoint for name in names) for names in _OWN)
    for family in _OTHERS:
        if is_ours and not family.always:
            continue
        pattern = re.compile(family.pattern)
        told_by = next((name for name in checkpoint.names if pattern.fullmatch(name)), None)
        if told_by is not None:
            advice = family.advice or f"Convert one of {BUILT_IN}"
            raise InputError(
                f"{checkpoint.label} holds {family.kind}, and kerasvit has {BUILT_IN}. "
                f"Received: {told_by!r}. {advice}"
            )
