"""Names of XCiT's own code, which DINO's XCiT files have too, where they are not timm's.

Facts: xcit `xcit.py` (`pos_embeder`, `ClassAttention.qkv`); timm/models/xcit.py
`checkpoint_filter_fn`, which splits the joint projection of the class attention.
"""

from kerasvit.conversion.names.foreign.naming import naming_of_tables
from kerasvit.conversion.names.transforms import Kind, Rule

_BLOCK = "cls_attn_blocks.{i}.attn"


def _third(index: int) -> Kind:
    """Return the kind that takes one of three parts that follow each other."""

    def part(shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape[0] % 3:
            raise ValueError(f"The first axis must be a multiple of 3. Received: {shape}")
        return (shape[0] // 3, *shape[1:])

    return Kind(
        forward=lambda array: array[index * len(array) // 3 : (index + 1) * len(array) // 3],
        shape=part,
    )


NAMING = naming_of_tables(
    "xcit_original",
    marks=(r"patch_embed\.proj\.0\.0\.weight", r"pos_embeder\.token_projection\.weight"),
    rules=(
        *(
            Rule(f"pos_embeder.token_projection.{part}", f"pos_embed.token_projection.{part}")
            for part in ("weight", "bias")
        ),
        *(
            Rule(f"{_BLOCK}.qkv.{part}", f"{_BLOCK}.{letter}.{part}", _third(index))
            for index, letter in enumerate("qkv")
            for part in ("weight", "bias")
        ),
    ),
    are_timms=True,
)
