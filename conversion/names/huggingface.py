"""Names of Hugging Face's `transformers`: ViT, DeiT, MSN, I-JEPA, DINOv2, with registers or not.

Facts: `transformers/models/{vit,deit,vit_msn,ijepa,dinov2,dinov2_with_registers}/modeling_*.py`,
and for the names that release 5 gave the modules, `transformers/conversion_mapping.py`.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kerasvit.conversion.names.naming import Naming
from kerasvit.conversion.names.transforms import Rule, joined

_BASE = re.compile(r"(vit|deit|ijepa|dinov2|dinov2_with_registers)\.")
_MARK = "embeddings.patch_embeddings.projection.weight"

# What files and transformers 4 say, and transformers 5 in memory.
_RENAMED = (
    (re.compile(r"^encoder\.layer\."), "layers."),
    (re.compile(r"\battention\.attention\.(query|key|value)\."), r"attention.\1."),
    (re.compile(r"\battention\.q_proj\."), "attention.query."),
    (re.compile(r"\battention\.k_proj\."), "attention.key."),
    (re.compile(r"\battention\.v_proj\."), "attention.value."),
    (re.compile(r"\battention\.output\.dense\."), "attention.o_proj."),
    (re.compile(r"\bintermediate\.dense\."), "mlp.fc1."),
    (re.compile(r"(?<=\d\.)output\.dense\."), "mlp.fc2."),
    (re.compile(r"\bmlp\.weights_out\."), "mlp.down_proj."),
)


def _canonical(names: Iterable[str]) -> Mapping[str, str] | None:
    canonical = {}
    for name in names:
        new = _BASE.sub("", name) if _BASE.match(name) else name
        for pattern, replacement in _RENAMED:
            new = pattern.sub(replacement, new)
        canonical[name] = new
    return canonical if _MARK in canonical.values() else None


def _both(source: str, target: str) -> tuple[Rule, Rule]:
    return Rule(f"{source}.weight", f"{target}.weight"), Rule(f"{source}.bias", f"{target}.bias")


def _joined(sources: tuple[str, ...], target: str) -> tuple[Rule, Rule]:
    return tuple(
        Rule(tuple(f"{one}.{end}" for one in sources), f"{target}.{end}", joined(len(sources)))
        for end in ("weight", "bias")
    )


_LAYER, _BLOCK = "layers.{i}", "blocks.{i}"
_RULES = (
    *_both("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    Rule("embeddings.cls_token", "cls_token"),
    Rule("embeddings.distillation_token", "dist_token"),
    Rule("embeddings.register_tokens", "register_tokens"),
    Rule("embeddings.position_embeddings", "pos_embed"),
    *_joined(
        tuple(f"{_LAYER}.attention.{name}" for name in ("query", "key", "value")),
        f"{_BLOCK}.attn.qkv",
    ),
    *_both(f"{_LAYER}.attention.o_proj", f"{_BLOCK}.attn.proj"),
    *_both(f"{_LAYER}.mlp.fc1", f"{_BLOCK}.mlp.fc1"),
    *_both(f"{_LAYER}.mlp.fc2", f"{_BLOCK}.mlp.fc2"),
    *_both("layernorm", "norm"),
    *_both("classifier", "head"),
    # ViT, DeiT, MSN and I-JEPA.
    *_both(f"{_LAYER}.layernorm_before", f"{_BLOCK}.norm1"),
    *_both(f"{_LAYER}.layernorm_after", f"{_BLOCK}.norm2"),
    *_both("cls_classifier", "head"),
    *_both("distillation_classifier", "head_dist"),
    # DINOv2.
    *_both(f"{_LAYER}.norm1", f"{_BLOCK}.norm1"),
    *_both(f"{_LAYER}.norm2", f"{_BLOCK}.norm2"),
    Rule(f"{_LAYER}.layer_scale1.lambda1", f"{_BLOCK}.ls1.gamma"),
    Rule(f"{_LAYER}.layer_scale2.lambda1", f"{_BLOCK}.ls2.gamma"),
    *_both(f"{_LAYER}.mlp.weights_in", f"{_BLOCK}.mlp.w12"),
    *_joined((f"{_LAYER}.mlp.gate_proj", f"{_LAYER}.mlp.up_proj"), f"{_BLOCK}.mlp.w12"),
    *_both(f"{_LAYER}.mlp.down_proj", f"{_BLOCK}.mlp.w3"),
)

_DROPPED = {
    "pooler.*": "the pooler of BERT's kind, which no classifier uses",
    "embeddings.mask_token": "the mask token of the training, never used for inference",
    "decoder.*": "the decoder of the masked training, no part of the encoder",
}


def _arguments(names: Collection[str]) -> dict[str, Any]:
    """Return what a checkpoint implies: how its own code treats other image sizes, and its head.

    DINOv2's classifier takes the class token and the mean patch token.
    """
    has_registers = "embeddings.register_tokens" in names
    arguments = {"position_resampling": "bicubic_antialias" if has_registers else "bicubic"}
    if "classifier.weight" in names and "layers.0.layer_scale1.lambda1" in names:
        arguments["head_patch_mean"] = True
    return arguments


NAMINGS = (Naming("huggingface", _canonical, _RULES, lambda names: _DROPPED, _arguments),)
