"""Names of DINOv3: in Meta's own files, and in Hugging Face's `dinov3_vit`.

Facts: dinov3/models/vision_transformer.py, dinov3/layers/attention.py (`LinearKMaskedBias`, whose
mask of the keys' biases is zero), dinov3/hub/backbones.py (the epsilon of "layernormbf16" is 1e-5);
transformers/models/dinov3_vit/modeling_dinov3_vit.py, release 5.24, which says `model.layer.{i}` in
memory and `layer.{i}` in files. EUPE's files name their tensors as DINOv3's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.names.foreign.naming import Dropped, Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import GATED_MLP, same
from kerasvit.conversion.names.transforms import Kind, Rule, joined
from kerasvit.errors import InputError
from kerasvit.layers.rotary.rules import named_periods

PERIODS = "rope_embed.periods"
_BLOCK = "blocks.{i}"
_UNUSED = "of the training, never used at inference"
_IMPLIED = {
    "rope_type": "dinov3",
    "pooling": "class",
    "norm_after_pooling": False,
    "layer_norm_epsilon": 1e-5,
}


def _third(index: int, is_masked: bool) -> Kind:
    """Return the kind that takes the biases of queries (0) or values (2) out of the joint ones.

    On the way back the queries' rule gives what stands for the keys too: zeros, and in the mask.
    """

    def forward(bias: np.ndarray, *mask: np.ndarray) -> np.ndarray:
        # A mask stands in a file to be multiplied with; it holds zeros for the keys.
        parts = np.split(bias * mask[0] if mask else bias, 3)
        if np.any(parts[1]):
            raise InputError(
                "The keys of a DINOv3 have no biases: the middle third of attn.qkv.bias, times "
                "its mask, must be zero. Received: biases of keys. Get the file again"
            )
        return parts[index]

    def shape(bias: tuple[int, ...], *mask: tuple[int, ...]) -> tuple[int, ...]:
        if bias[0] % 3 or any(one != bias for one in mask):
            raise ValueError(f"Biases of queries, keys and values, and their mask: {bias} {mask}")
        return (bias[0] // 3,)

    def backward(bias: np.ndarray) -> np.ndarray | tuple[np.ndarray | None, ...]:
        keys = np.zeros(0 if index else len(bias), "float32")
        joint, mask = np.concatenate([bias, keys]), np.concatenate([np.ones_like(bias), keys])
        return (joint, mask) if is_masked else joint

    return Kind(forward, shape, backward)


def _biases(*sources: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(sources, f"{_BLOCK}.attn.{part}_bias", _third(index, len(sources) > 1))
        for index, part in ((0, "q"), (2, "v"))
    )


def periods_of(tensors: Mapping[str, StoredTensor]) -> dict[str, Any]:
    """Return the rotary periods that a file holds, and the heads: a period serves four elements."""
    if PERIODS not in tensors:
        return {}
    periods = tensors[PERIODS].load(PERIODS)
    head_dim = 4 * len(periods)
    width = tensors["storage_tokens"].shape[-1]
    return {"rope_periods": named_periods(periods, head_dim), "num_heads": width // head_dim}


META = naming_of_tables(
    "dinov3",
    marks=(r"storage_tokens", r"patch_embed\.proj\.weight", r"blocks\.0\.attn\.qkv\.weight"),
    spellings=(
        Spelling(r"\.attn\.qkv\.bias$", ".attn.qkv.masked_bias", needs="*.attn.qkv.bias_mask"),
    ),
    rules=(
        Rule("storage_tokens", "reg_token"),
        *GATED_MLP,
        *(Rule(f"{_BLOCK}.ls{part}.gamma", f"{_BLOCK}.gamma_{part}") for part in (1, 2)),
        *_biases(f"{_BLOCK}.attn.qkv.masked_bias", f"{_BLOCK}.attn.qkv.bias_mask"),
        *_biases(f"{_BLOCK}.attn.qkv.bias"),
    ),
    dropped=(
        Dropped("mask_token", _UNUSED),
        Dropped("local_cls_norm.*", "the norm of local crops, " + _UNUSED),
        Dropped("projectors.*", "EUPE's projections to its teachers, " + _UNUSED),
        Dropped(PERIODS, "no weight: the model's rope_periods"),
    ),
    implied=(
        Implied(_IMPLIED),
        Implied({"activation": "silu"}, needs=GATED_MLP[0].sources[0].format(i=0)),
        Implied({"activation": "gelu"}, lacks=GATED_MLP[0].sources[0].format(i=0)),
    ),
    values=periods_of,
    are_timms=True,
)

_LAYER = "layer.{i}"
_ATTENTION = f"{_LAYER}.attention"
HUGGINGFACE = naming_of_tables(
    "huggingface_dinov3",
    marks=(r"(dinov3_vit\.)?embeddings\.patch_embeddings\.weight", r".*\.layer_scale1\.lambda1"),
    spellings=(
        Spelling(r"^dinov3_vit\.", ""),
        Spelling(r"^model\.layer\.", "layer."),
        Spelling(r"\.mlp\.up_proj\.", ".mlp.gated_up_proj.", needs="*.mlp.gate_proj.weight"),
    ),
    rules=(
        *same("embeddings.patch_embeddings", "patch_embed.proj"),
        Rule("embeddings.cls_token", "cls_token"),
        Rule("embeddings.register_tokens", "reg_token"),
        *same(f"{_LAYER}.norm1", f"{_BLOCK}.norm1"),
        *same(f"{_LAYER}.norm2", f"{_BLOCK}.norm2"),
        Rule(
            tuple(f"{_ATTENTION}.{part}_proj.weight" for part in "qkv"),
            f"{_BLOCK}.attn.qkv.weight",
            joined(3),
        ),
        Rule(f"{_ATTENTION}.q_proj.bias", f"{_BLOCK}.attn.q_bias"),
        Rule(f"{_ATTENTION}.v_proj.bias", f"{_BLOCK}.attn.v_bias"),
        *same(f"{_ATTENTION}.o_proj", f"{_BLOCK}.attn.proj"),
        Rule(f"{_LAYER}.layer_scale1.lambda1", f"{_BLOCK}.gamma_1"),
        Rule(f"{_LAYER}.layer_scale2.lambda1", f"{_BLOCK}.gamma_2"),
        *same(f"{_LAYER}.mlp.gate_proj", f"{_BLOCK}.mlp.fc1_g"),
        *same(f"{_LAYER}.mlp.gated_up_proj", f"{_BLOCK}.mlp.fc1_x"),
        *same(f"{_LAYER}.mlp.up_proj", f"{_BLOCK}.mlp.fc1"),
        *same(f"{_LAYER}.mlp.down_proj", f"{_BLOCK}.mlp.fc2"),
        *same("norm", "norm"),
        *same("classifier", "head"),
    ),
    dropped=(
        Dropped("embeddings.mask_token", "the mask token " + _UNUSED),
        Dropped("rope_embeddings.*", "no weight"),
    ),
    implied=(Implied(_IMPLIED),),
)

NAMINGS = (META, HUGGINGFACE)
