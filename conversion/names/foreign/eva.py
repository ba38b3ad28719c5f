"""Names of EVA's and EVA-02's own files, of their image towers in EVA-CLIP, and of Sapiens2's.

Facts: EVA/EVA-02/asuka/modeling_finetune.py and modeling_pretrain.py, EVA/EVA-CLIP/rei/eva_clip/
eva_vit_model.py, sapiens2's sapiens/backbones/standalone/sapiens2.py; timm reads them so too
(timm/models/eva.py `checkpoint_filter_fn`).
"""

from kerasvit.conversion.names.foreign.naming import Dropped, Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import GATED_MLP, OF_THE_TEXT
from kerasvit.conversion.names.transforms import Rule

_TABLE = "angles of rotary positions, which are computed"
_MASKED = "of the masked training, no part of the encoder"

EVA = naming_of_tables(
    "eva_original",
    marks=(
        r"(visual\.)?patch_embed\.proj\.weight",
        r"(visual\.)?blocks\.0\.attn\.(q_bias|q_proj\.weight)",
        r"(visual\.)?(blocks\.0\.mlp\.(w1|w12|ffn_ln)\.weight|blocks\.0\.attn\.inner_attn_ln\.weight"
        r"|(blocks\.0\.attn\.)?rope\.freqs_(cos|sin))",
    ),
    spellings=(
        Spelling(r"^(?!visual\.)", "text/", needs="visual.patch_embed.proj.weight"),
        Spelling(r"^visual\.", ""),
        Spelling(r"\.mlp\.w12\.", ".mlp.fc1."),
        Spelling(r"\.mlp\.ffn_ln\.", ".mlp.norm."),
        Spelling(r"\.attn\.inner_attn_ln\.", ".attn.norm."),
        Spelling(
            r"\.attn\.([qv])_bias$", r".attn.\1_proj.bias", needs="blocks.0.attn.q_proj.weight"
        ),
        # A masked training has no norm but the last one, which timm takes for that of the pooling.
        Spelling(r"^norm\.", "fc_norm.", needs="mask_token"),
    ),
    rules=GATED_MLP,
    dropped=(
        Dropped("rope.freqs_*", _TABLE),
        Dropped("*.rope.freqs_*", _TABLE),
        Dropped("mask_token", _MASKED),
        Dropped("lm_head.*", _MASKED),
        Dropped("text/*", OF_THE_TEXT),
    ),
    implied=(
        Implied({"rope_type": "eva02"}, needs="*rope.freqs_cos"),
        Implied({"pooling": "class"}, needs="text/*"),
    ),
    are_timms=True,
)

SAPIENS2 = naming_of_tables(
    "sapiens2",
    marks=(r"blocks\.0\.attn\.wq\.weight", r"blocks\.0\.ffn\.w12\.weight", r"storage_tokens"),
    spellings=(
        Spelling(r"^patch_embed\.projection\.", "patch_embed.proj."),
        Spelling(r"\.attn\.w([qkv])\.", r".attn.\1_proj."),
        Spelling(r"\.attn\.gamma\.weight$", ".gamma_1"),
        Spelling(r"\.ffn\.w12\.", ".mlp.fc1."),
        Spelling(r"\.ffn\.w3\.", ".mlp.fc2."),
        Spelling(r"\.ln([12])\.", r".norm\1."),
        Spelling(r"^ln1\.", "norm."),
    ),
    rules=(Rule("storage_tokens", "reg_token"),),
    dropped=(
        Dropped("mask_token", _MASKED),
        Dropped("rope*", _TABLE),
    ),
    implied=(Implied({"rope_type": "dinov3", "pooling": "class"}),),
    are_timms=True,
)

NAMINGS = (SAPIENS2, EVA)
