"""Names of torchvision's ViT: `vit_b_16`, `vit_b_32`, `vit_l_16`, `vit_l_32`, `vit_h_14`.

Facts: torchvision/models/vision_transformer.py; its LayerNorm has the epsilon 1e-6 (`partial` in
`VisionTransformer.__init__`), its blocks are `nn.MultiheadAttention` and an exact GELU.
"""

from kerasvit.conversion.names.foreign.naming import Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import same
from kerasvit.conversion.names.transforms import Rule

_LAYER, _BLOCK = "encoder.layers.encoder_layer_{i}", "blocks.{i}"

NAMING = naming_of_tables(
    "torchvision",
    marks=(r"conv_proj\.weight", r"encoder\.pos_embedding", r"class_token"),
    spellings=(
        # Files of torchvision 0.12 and before.
        Spelling(r"\.mlp\.linear_1\.", ".mlp.0."),
        Spelling(r"\.mlp\.linear_2\.", ".mlp.3."),
        # People put another head in `heads`, or a bare Linear in its place.
        Spelling(r"^heads\.(weight|bias)$", r"heads.head.\1"),
        Spelling(r"^heads\.\d+\.(weight|bias)$", r"heads.head.\1"),
        # What no rule takes is a head's still, and `num_classes=0` leaves it out.
        Spelling(r"^heads\.pre_logits\.", "head.pre_logits."),
    ),
    rules=(
        *same("conv_proj", "patch_embed.proj"),
        Rule("class_token", "cls_token"),
        Rule("encoder.pos_embedding", "pos_embed"),
        *same(f"{_LAYER}.ln_1", f"{_BLOCK}.norm1"),
        Rule(f"{_LAYER}.self_attention.in_proj_weight", f"{_BLOCK}.attn.qkv.weight"),
        Rule(f"{_LAYER}.self_attention.in_proj_bias", f"{_BLOCK}.attn.qkv.bias"),
        *same(f"{_LAYER}.self_attention.out_proj", f"{_BLOCK}.attn.proj"),
        *same(f"{_LAYER}.ln_2", f"{_BLOCK}.norm2"),
        *same(f"{_LAYER}.mlp.0", f"{_BLOCK}.mlp.fc1"),
        *same(f"{_LAYER}.mlp.3", f"{_BLOCK}.mlp.fc2"),
        *same("encoder.ln", "norm"),
        *same("heads.head", "head"),
    ),
    implied=(Implied({"layer_norm_epsilon": 1e-6, "activation": "gelu"}),),
)
