"""Names of Perception Encoder's files: PE core, PE lang and PE spatial.

Facts: perception_models/core/vision_encoder/pe.py (`VisionTransformer`: GELU, the epsilon 1e-5, a
pooling of 8 heads); timm reads them so too (timm/models/eva.py `_convert_pe`). The projection into
the space that pictures share with texts becomes a head without a bias, as of CLIP.
"""

from kerasvit.conversion.names.foreign.clip_tower import TEXT_TOWER, TOWER_RULES
from kerasvit.conversion.names.foreign.naming import Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import query_and_key_value, same
from kerasvit.conversion.names.transforms import Rule

_IMPLIED = {"rope_type": "pe", "use_pre_norm": True, "layer_norm_epsilon": 1e-5}
_SPELLINGS = (
    # Both towers of PE core have a `transformer`: the text's names are set apart first.
    Spelling(r"^(?!visual\.)", "text/", needs="visual.conv1.weight"),
    Spelling(r"^visual\.", ""),
    Spelling(r"\.ls_([12])\.gamma$", r".gamma_\1"),
)
_RULES = (
    *TOWER_RULES,
    *(Rule(f"transformer.resblocks.{{i}}.gamma_{n}", f"blocks.{{i}}.gamma_{n}") for n in (1, 2)),
    Rule("attn_pool.probe", "attn_pool.latent"),
    *query_and_key_value("attn_pool.attn.in_proj", "attn_pool"),
    *same("attn_pool.attn.out_proj", "attn_pool.proj"),
    *same("attn_pool.layernorm", "attn_pool.norm"),
    *same("attn_pool.mlp.c_fc", "attn_pool.mlp.fc1"),
    *same("attn_pool.mlp.c_proj", "attn_pool.mlp.fc2"),
)

CORE = naming_of_tables(
    "perception_encoder",
    marks=(r"(visual\.)?conv1\.weight", r"(visual\.)?attn_pool\.probe"),
    spellings=_SPELLINGS,
    rules=_RULES,
    dropped=TEXT_TOWER,
    implied=(
        Implied({**_IMPLIED, "pooling": "attention", "pool_prefix": True, "pooling_heads": 8}),
        Implied({"rope_offset": 1.0}, needs="class_embedding"),
    ),
)
# Neither of the others has a last norm, which CLIP's towers have.
OTHERS = naming_of_tables(
    "perception_encoder",
    marks=(
        r"(visual\.)?conv1\.weight",
        r"(visual\.)?ln_pre\.bias",
        r"(visual\.)?transformer\.resblocks\.0\.attn\.in_proj_weight",
    ),
    spellings=_SPELLINGS,
    rules=_RULES,
    dropped=TEXT_TOWER,
    implied=(
        Implied({**_IMPLIED, "pooling": "average"}),
        Implied({"rope_offset": 1.0}, needs="class_embedding"),
    ),
)
