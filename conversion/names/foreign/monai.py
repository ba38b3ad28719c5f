"""Names of MONAI's two-dimensional ViT: `patch_embedding.patch_embeddings.weight`.

Facts: monai/networks/nets/vit.py, monai/networks/blocks/{patchembedding,selfattention,mlp}.py. The
positions are added before the class token is put in front; the epsilon is torch's 1e-5. A model
built with `classification=True` ends in a Tanh unless `post_activation` says otherwise: the logits
here are those before it.
"""

from kerasvit.conversion.names.foreign.naming import Dropped, Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import same
from kerasvit.conversion.names.transforms import Rule

_CROSS = "of cross-attention, which a ViT makes and never uses"

NAMING = naming_of_tables(
    "monai",
    marks=(
        r"patch_embedding\.position_embeddings",
        r"patch_embedding\.patch_embeddings\.weight",
        r"blocks\.0\.attn\.out_proj\.weight",
    ),
    spellings=(Spelling(r"^classification_head\.(0\.)?(?=weight$|bias$)", "head."),),
    rules=(
        *same("patch_embedding.patch_embeddings", "patch_embed.proj"),
        Rule("patch_embedding.position_embeddings", "pos_embed"),
        Rule("cls_token", "cls_token"),
        *same("blocks.{i}.norm1", "blocks.{i}.norm1"),
        *same("blocks.{i}.attn.qkv", "blocks.{i}.attn.qkv"),
        *same("blocks.{i}.attn.out_proj", "blocks.{i}.attn.proj"),
        *same("blocks.{i}.norm2", "blocks.{i}.norm2"),
        *same("blocks.{i}.mlp.linear1", "blocks.{i}.mlp.fc1"),
        *same("blocks.{i}.mlp.linear2", "blocks.{i}.mlp.fc2"),
        *same("norm", "norm"),
        *same("head", "head"),
    ),
    dropped=(
        Dropped("blocks.*.norm_cross_attn.*", _CROSS),
        Dropped("blocks.*.cross_attn.*", _CROSS),
    ),
    implied=(
        Implied(
            {
                "layer_norm_epsilon": 1e-5,
                "activation": "gelu",
                "position_embedding": "patches",
            }
        ),
        Implied(
            {"use_class_token": False, "pooling": "average", "norm_after_pooling": False},
            lacks="cls_token",
        ),
    ),
)
