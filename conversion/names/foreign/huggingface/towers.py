"""Names of the picture's tower in Hugging Face's CLIP and SigLIP: `vision_model.*`.

Facts: transformers/models/clip/modeling_clip.py, transformers/models/siglip/modeling_siglip.py.
CLIP's classifier reads the mean of the patch tokens before the last norm, SigLIP's after it, and
without the attention pooling (`vision_use_head`).
"""

from kerasvit.conversion.names.foreign.naming import Dropped, Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import (
    OF_THE_TEXT,
    ONE_LEADING,
    TWO_LEADING,
    head_without_bias,
    query_and_key_value,
    same,
    side_by_side,
)
from kerasvit.conversion.names.transforms import Rule

_LAYER, _BLOCK = "encoder.layers.{i}", "blocks.{i}"
_CLIP, _SIGLIP = "embeddings.class_embedding", "embeddings.patch_embedding.bias"
_UNUSED = "not used by the classifier of this network"

NAMING = naming_of_tables(
    "huggingface_tower",
    marks=(
        r"(vision_model\.)?embeddings\.patch_embedding\.weight",
        r"(vision_model\.)?embeddings\.position_embedding\.weight",
        r"(vision_model\.)?post_layernorm\.bias",
    ),
    spellings=(Spelling(r"^vision_model\.", ""),),
    rules=(
        *same("embeddings.patch_embedding", "patch_embed.proj"),
        Rule("embeddings.class_embedding", "cls_token", TWO_LEADING),
        Rule("embeddings.position_embedding.weight", "pos_embed", ONE_LEADING),
        *same("pre_layrnorm", "norm_pre"),
        *same(f"{_LAYER}.layer_norm1", f"{_BLOCK}.norm1"),
        *side_by_side(
            tuple(f"{_LAYER}.self_attn.{part}_proj" for part in "qkv"), f"{_BLOCK}.attn.qkv"
        ),
        *same(f"{_LAYER}.self_attn.out_proj", f"{_BLOCK}.attn.proj"),
        *same(f"{_LAYER}.layer_norm2", f"{_BLOCK}.norm2"),
        *same(f"{_LAYER}.mlp.fc1", f"{_BLOCK}.mlp.fc1"),
        *same(f"{_LAYER}.mlp.fc2", f"{_BLOCK}.mlp.fc2"),
        *same("post_layernorm", "norm"),
        *head_without_bias("visual_projection.weight"),
        *same("classifier", "head"),
        Rule("head.probe", "attn_pool.latent"),
        *query_and_key_value("head.attention.in_proj", "attn_pool"),
        *same("head.attention.out_proj", "attn_pool.proj"),
        *same("head.layernorm", "attn_pool.norm"),
        *same("head.mlp.fc1", "attn_pool.mlp.fc1"),
        *same("head.mlp.fc2", "attn_pool.mlp.fc2"),
    ),
    dropped=(
        Dropped("text_model.*", OF_THE_TEXT),
        Dropped("text_projection.*", OF_THE_TEXT),
        Dropped("logit_scale", OF_THE_TEXT),
        Dropped("logit_bias", OF_THE_TEXT),
        Dropped("embeddings.position_ids", "numbers of the positions, no weight"),
        Dropped("post_layernorm.*", _UNUSED, needs="classifier.weight", lacks=_SIGLIP),
        Dropped("head.*", _UNUSED, needs="classifier.weight"),
    ),
    implied=(
        Implied({"position_resampling": "bicubic"}),
        Implied({"layer_norm_epsilon": 1e-5, "use_pre_norm": True}, needs=_CLIP),
        Implied(
            {"pooling": "average", "norm_after_pooling": False, "use_final_norm": False},
            needs="classifier.weight",
            lacks=_SIGLIP,
        ),
        Implied({"layer_norm_epsilon": 1e-6, "use_class_token": False}, lacks=_CLIP),
        Implied({"pooling": "attention"}, needs="head.probe", lacks="classifier.weight"),
        Implied(
            {"pooling": "average", "norm_after_pooling": False},
            needs=_SIGLIP,
            lacks="head.probe",
        ),
        Implied(
            {"pooling": "average", "norm_after_pooling": False},
            needs="classifier.weight",
            lacks=_CLIP,
        ),
    ),
)
