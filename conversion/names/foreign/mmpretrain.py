"""Names of OpenMMLab's mmpretrain (mmclassification): `backbone.layers.0.ffn.layers.0.0.weight`.

Facts: mmpretrain/models/backbones/vision_transformer.py, mmpretrain/models/heads/
vision_transformer_head.py; mmcv/cnn/bricks/transformer.py `FFN`; the epsilon is 1e-6 (`norm_cfg`).
"""

from kerasvit.conversion.names.foreign.naming import Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import same
from kerasvit.conversion.names.transforms import Rule

_LAYER, _BLOCK = "layers.{i}", "blocks.{i}"

NAMING = naming_of_tables(
    "mmpretrain",
    marks=(
        r"(backbone\.)?patch_embed\.projection\.weight",
        r"(backbone\.)?pos_embed",
        r"(backbone\.)?layers\.0\.ffn\..*",
    ),
    spellings=(
        Spelling(r"^backbone\.", ""),
        # mmclassification before 0.20 said norm1, mmpretrain says ln1.
        Spelling(r"\bnorm(?=[12]\.)", "ln"),
        Spelling(r"^head\.(layers\.head|fc|layers\.0)\.(?=weight$|bias$)", "head."),
    ),
    rules=(
        *same("patch_embed.projection", "patch_embed.proj"),
        Rule("cls_token", "cls_token"),
        Rule("pos_embed", "pos_embed"),
        *same("pre_norm", "norm_pre"),
        *same(f"{_LAYER}.ln1", f"{_BLOCK}.norm1"),
        *same(f"{_LAYER}.attn.qkv", f"{_BLOCK}.attn.qkv"),
        *same(f"{_LAYER}.attn.proj", f"{_BLOCK}.attn.proj"),
        Rule(f"{_LAYER}.attn.gamma1.weight", f"{_BLOCK}.ls1.gamma"),
        *same(f"{_LAYER}.ln2", f"{_BLOCK}.norm2"),
        *same(f"{_LAYER}.ffn.layers.0.0", f"{_BLOCK}.mlp.fc1"),
        *same(f"{_LAYER}.ffn.layers.1", f"{_BLOCK}.mlp.fc2"),
        Rule(f"{_LAYER}.ffn.gamma2.weight", f"{_BLOCK}.ls2.gamma"),
        *same(f"{_LAYER}.ffn.w12", f"{_BLOCK}.mlp.w12"),
        *same(f"{_LAYER}.ffn.w3", f"{_BLOCK}.mlp.w3"),
        *same("ln1", "norm"),
        *same("ln2", "fc_norm"),
        *same("head", "head"),
    ),
    implied=(
        Implied({"position_resampling": "bicubic", "layer_norm_epsilon": 1e-6}),
        Implied({"use_pre_norm": True}, needs="pre_norm.weight"),
        Implied({"mlp_type": "gated", "activation": "silu"}, needs="layers.0.ffn.w12.weight"),
    ),
)
