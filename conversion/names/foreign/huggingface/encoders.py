"""Names of Hugging Face's `transformers`: ViT, DeiT, MSN, I-JEPA, DINOv2, with registers or not.

Facts: `transformers/models/{vit,deit,vit_msn,ijepa,dinov2,dinov2_with_registers}/modeling_*.py`,
and for the names that release 5 gave the modules, `transformers/conversion_mapping.py`.
"""

from kerasvit.conversion.names.foreign.naming import Dropped, Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import same, side_by_side
from kerasvit.conversion.names.transforms import Rule

_BASE = r"((vit|deit|ijepa|dinov2|dinov2_with_registers)\.)?"
_DISTILLED = "embeddings.distillation_token"
_REGISTERS = "embeddings.register_tokens"

SPELLINGS = (
    Spelling(rf"^{_BASE}", ""),
    # What files and transformers 4 say, and transformers 5 in memory.
    Spelling(r"^encoder\.layer\.", "layers."),
    Spelling(r"\battention\.attention\.(query|key|value)\.", r"attention.\1."),
    Spelling(r"\battention\.q_proj\.", "attention.query."),
    Spelling(r"\battention\.k_proj\.", "attention.key."),
    Spelling(r"\battention\.v_proj\.", "attention.value."),
    Spelling(r"\battention\.output\.dense\.", "attention.o_proj."),
    Spelling(r"\bintermediate\.dense\.", "mlp.fc1."),
    Spelling(r"(?<=\d\.)output\.dense\.", "mlp.fc2."),
    Spelling(r"\bmlp\.weights_out\.", "mlp.down_proj."),
    # A DeiT with one classifier reads the class token alone: its other token is a register.
    Spelling(
        r"^embeddings\.distillation_token$",
        "embeddings.unread_token",
        needs="classifier.weight",
        lacks="distillation_classifier.weight",
    ),
    Spelling(r"^embeddings\.distillation_token$", "embeddings.unread_token", needs="head.weight"),
    # A head of the user's own may read the pooler: then it is no part of what a ViT computes.
    Spelling(r"^pooler\.", "head.pooler.", needs="head.weight"),
)

_LAYER, _BLOCK = "layers.{i}", "blocks.{i}"
RULES = (
    *same("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    Rule("embeddings.cls_token", "cls_token"),
    Rule(_DISTILLED, "dist_token"),
    Rule("embeddings.unread_token", "reg_token"),
    Rule(_REGISTERS, "register_tokens"),
    Rule("embeddings.position_embeddings", "pos_embed"),
    *side_by_side(
        tuple(f"{_LAYER}.attention.{name}" for name in ("query", "key", "value")),
        f"{_BLOCK}.attn.qkv",
    ),
    *same(f"{_LAYER}.attention.o_proj", f"{_BLOCK}.attn.proj"),
    *same(f"{_LAYER}.mlp.fc1", f"{_BLOCK}.mlp.fc1"),
    *same(f"{_LAYER}.mlp.fc2", f"{_BLOCK}.mlp.fc2"),
    *same("layernorm", "norm"),
    *same("classifier", "head"),
    # ViT, DeiT, MSN and I-JEPA.
    *same(f"{_LAYER}.layernorm_before", f"{_BLOCK}.norm1"),
    *same(f"{_LAYER}.layernorm_after", f"{_BLOCK}.norm2"),
    *same("cls_classifier", "head"),
    *same("distillation_classifier", "head_dist"),
    # DINOv2.
    *same(f"{_LAYER}.norm1", f"{_BLOCK}.norm1"),
    *same(f"{_LAYER}.norm2", f"{_BLOCK}.norm2"),
    Rule(f"{_LAYER}.layer_scale1.lambda1", f"{_BLOCK}.ls1.gamma"),
    Rule(f"{_LAYER}.layer_scale2.lambda1", f"{_BLOCK}.ls2.gamma"),
    *same(f"{_LAYER}.mlp.weights_in", f"{_BLOCK}.mlp.w12"),
    *side_by_side((f"{_LAYER}.mlp.gate_proj", f"{_LAYER}.mlp.up_proj"), f"{_BLOCK}.mlp.w12"),
    *same(f"{_LAYER}.mlp.down_proj", f"{_BLOCK}.mlp.w3"),
)

NAMING = naming_of_tables(
    "huggingface",
    marks=(rf"{_BASE}embeddings\.patch_embeddings\.projection\.weight",),
    spellings=SPELLINGS,
    rules=RULES,
    dropped=(
        Dropped("pooler.*", "the pooler of BERT's kind, which no classifier uses"),
        Dropped("embeddings.mask_token", "the mask token of the training, never used at inference"),
        Dropped("decoder.*", "the decoder of the masked training, no part of the encoder"),
    ),
    # How its own code treats other image sizes; DINOv2's classifier takes the class token and the
    # mean patch token.
    implied=(
        Implied({"position_resampling": "bicubic"}, lacks=_REGISTERS),
        Implied({"position_resampling": "bicubic_antialias"}, needs=_REGISTERS),
        Implied(
            {"head_patch_mean": True},
            needs=("classifier.weight", "layers.0.layer_scale1.lambda1"),
        ),
    ),
)
