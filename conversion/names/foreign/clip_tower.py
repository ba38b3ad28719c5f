"""Names of the picture's tower in OpenAI's CLIP and open_clip: `visual.*`, `visual.trunk.*`.

Facts: clip/model.py `VisionTransformer` (its activation is QuickGELU, the epsilon torch's 1e-5),
open_clip/transformer.py `VisionTransformer` and open_clip/timm_model.py `TimmModel`; timm reads
both so too (timm/models/vision_transformer.py `_convert_openai_clip`): the projection into the
space that pictures share with texts becomes a head without a bias, the "logits" are the embedding.
"""

from kerasvit.conversion.names.foreign.naming import Dropped, Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import (
    OF_THE_TEXT,
    ONE_LEADING,
    TWO_LEADING,
    head_without_bias,
    same,
    transposed_head,
)
from kerasvit.conversion.names.transforms import Rule

_LAYER, _BLOCK = "transformer.resblocks.{i}", "blocks.{i}"
TEXT_TOWER = tuple(
    Dropped(f"text/{name}", OF_THE_TEXT)
    for name in (
        "transformer.*",
        "token_embedding.*",
        "positional_embedding",
        "ln_final.*",
        "text_projection*",
        "text.*",
        "logit_scale",
        "logit_bias",
        "attn_mask",
        "input_resolution",
        "context_length",
        "vocab_size",
    )
)
# OpenAI's own files carry the text's length; those of open_clip do not.
_IS_OPENAIS = "text/context_length"

# Perception Encoder's files have these names too.
TOWER_RULES = (
    Rule("conv1.weight", "patch_embed.proj.weight"),
    Rule("conv1.bias", "patch_embed.proj.bias"),
    Rule("class_embedding", "cls_token", TWO_LEADING),
    Rule("positional_embedding", "pos_embed", ONE_LEADING),
    *same("ln_pre", "norm_pre"),
    *same(f"{_LAYER}.ln_1", f"{_BLOCK}.norm1"),
    Rule(f"{_LAYER}.attn.in_proj_weight", f"{_BLOCK}.attn.qkv.weight"),
    Rule(f"{_LAYER}.attn.in_proj_bias", f"{_BLOCK}.attn.qkv.bias"),
    *same(f"{_LAYER}.attn.out_proj", f"{_BLOCK}.attn.proj"),
    *same(f"{_LAYER}.ln_2", f"{_BLOCK}.norm2"),
    *same(f"{_LAYER}.mlp.c_fc", f"{_BLOCK}.mlp.fc1"),
    *same(f"{_LAYER}.mlp.c_proj", f"{_BLOCK}.mlp.fc2"),
    Rule(f"{_LAYER}.ls_1.gamma", f"{_BLOCK}.ls1.gamma"),
    Rule(f"{_LAYER}.ls_2.gamma", f"{_BLOCK}.ls2.gamma"),
    *same("ln_post", "norm"),
    *transposed_head("proj"),
)

CLIP = naming_of_tables(
    "clip",
    marks=(r"(visual\.)?class_embedding", r"(visual\.)?conv1\.weight", r"(visual\.)?ln_post\.bias"),
    spellings=(
        # Both towers have a `transformer`: the text's names are set apart first.
        Spelling(r"^(?!visual\.)", "text/", needs="visual.class_embedding"),
        Spelling(r"^visual\.", ""),
    ),
    rules=TOWER_RULES,
    dropped=TEXT_TOWER,
    implied=(
        Implied({"layer_norm_epsilon": 1e-5}),
        Implied({"use_pre_norm": True}, needs="ln_pre.weight"),
        Implied({"activation": "quick_gelu"}, needs=_IS_OPENAIS),
    ),
)

OPEN_CLIP_TRUNK = naming_of_tables(
    "open_clip",
    marks=(r"visual\.trunk\.patch_embed\.proj\.weight",),
    spellings=(
        Spelling(r"^(?!visual\.)", "text/"),
        Spelling(r"^visual\.trunk\.", ""),
        Spelling(r"^visual\.head\.(?!proj\.weight$)", "head."),
    ),
    rules=head_without_bias("visual.head.proj.weight"),
    dropped=TEXT_TOWER,
    implied=(Implied({"pooling": "attention"}, needs="attn_pool.latent"),),
    are_timms=True,
)

NAMINGS = (OPEN_CLIP_TRUNK, CLIP)
