"""Names of XCiT's own code, which DINO's XCiT files have too, where they are not timm's.

Facts: xcit `xcit.py` (`pos_embeder`, `ClassAttention.qkv`); timm/models/xcit.py
`checkpoint_filter_fn`, which splits the joint projection of the class attention.
"""

from kerasvit.conversion.names.foreign.naming import naming_of_tables
from kerasvit.conversion.names.transforms import Rule, thirds

_BLOCK = "cls_attn_blocks.{i}.attn"


NAMING = naming_of_tables(
    "xcit_original",
    marks=(r"patch_embed\.proj\.0\.0\.weight", r"pos_embeder\.token_projection\.weight"),
    rules=(
        *(
            Rule(f"pos_embeder.token_projection.{part}", f"pos_embed.token_projection.{part}")
            for part in ("weight", "bias")
        ),
        *(
            Rule(f"{_BLOCK}.qkv.{part}", f"{_BLOCK}.{letter}.{part}", thirds(index, index + 1))
            for index, letter in enumerate("qkv")
            for part in ("weight", "bias")
        ),
    ),
    are_timms=True,
)
