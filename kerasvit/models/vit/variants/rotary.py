"""Variants of timm's EVA module: EVA, EVA-02, RoPE-ViT, Perception Encoder, DINOv3, Sapiens2.

Facts: timm/models/eva.py of timm 1.0.31 (Apache-2.0). What differs: DINOv3 reads its class token,
as its own code does and timm's does not, and there is a ViT-L+ of it
(dinov3/hub/backbones.py `dinov3_vitl16plus`), which timm has no name for.
"""

from kerasvit.models.vit.variants.families import (
    GAP,
    PATCHES,
    SCALE,
    Arguments,
    Rows,
    Variants,
    family,
    variant,
)

_NO_TABLE: Arguments = {"position_embedding": "none"}
_NO_KEY_BIAS: Arguments = {"use_key_bias": False}
_NO_BIAS: Arguments = {"use_qkv_bias": False}
_GATED: Arguments = {"mlp_type": "gated", "activation": "silu"}
_AVERAGE: Arguments = {"pooling": "average"}

_EVA02_ROPE: Arguments = {"rope_type": "eva02", "rope_reference_grid": (16, 16), **_NO_KEY_BIAS}
_EVA02: Arguments = {**_EVA02_ROPE, **_GATED}
_EVA02_LARGER: Arguments = {**_EVA02, "use_mlp_sub_norm": True}
_EVA02_CLIP: Arguments = {**_EVA02, "use_sub_norm": True}

EVA: Variants = {
    **family(
        "eva_{size}_patch{patch}_{image}",
        [("giant", 14, (224, 336, 560))],
        **_NO_KEY_BIAS,
        **_AVERAGE,
    ),
    **family("eva_{size}_patch{patch}_clip_{image}", [("giant", 14, (224,))], **_NO_KEY_BIAS),
    **family(
        "eva02_{size}_patch{patch}_{image}",
        [("tiny", 14, (224, 336)), ("small", 14, (224, 336))],
        prefix="eva02_",
        **_EVA02,
        **_AVERAGE,
    ),
    **family(
        "eva02_{size}_patch{patch}_{image}",
        [("base", 14, (224, 448)), ("large", 14, (224, 448))],
        prefix="eva02_",
        **_EVA02_LARGER,
        **_AVERAGE,
    ),
    **family(
        "eva02_{size}_patch{patch}_clip_{image}",
        [("base", 16, (224,)), ("large", 14, (224, 336))],
        prefix="eva02_",
        **_EVA02_CLIP,
    ),
    **family(
        "eva02_{size}_patch{patch}_clip_{image}",
        [("enormous", 14, (224,))],
        prefix="eva02_",
        block_type="post_norm",
        **_NO_KEY_BIAS,
    ),
}

_SBB: Arguments = {**_EVA02_ROPE, **_NO_TABLE, **SCALE, **GAP}

SBB: Variants = {
    **family(
        "vit_{size}_patch{patch}_rope_reg1_gap_{image}",
        [("medium", 16, (256,)), ("base", 16, (256,))],
        num_registers=1,
        **_SBB,
    ),
    "vit_mediumd_patch16_rope_reg1_gap_256": variant(
        "mediumd", 16, 256, num_registers=1, **{**_SBB, "use_key_bias": True}, **_NO_BIAS
    ),
    "vit_betwixt_patch16_rope_reg4_gap_256": variant("betwixt", 16, 256, num_registers=4, **_SBB),
}

_NAVER_ROWS: Rows = [("small", 16, (224,)), ("base", 16, (224,)), ("large", 16, (224,))]

NAVER: Variants = {
    name: arguments
    for infix, positions in (("", _NO_TABLE), ("ape_", PATCHES))
    for kind in ("axial", "mixed")
    for name, arguments in family(
        "vit_{size}_patch{patch}_rope_" + ("mixed_" if kind == "mixed" else "") + infix + "{image}",
        _NAVER_ROWS,
        rope_type=kind,
        **positions,
        **SCALE,
    ).items()
}

_PE: Arguments = {"rope_type": "pe", "use_pre_norm": True, "layer_norm_epsilon": 1e-5}
_PE_CLASS: Arguments = {**_PE, "rope_offset": 1.0}
_PE_CORE: Arguments = {"pooling": "attention", "pool_prefix": True, "pooling_heads": 8}
_PE_FEATURES: Arguments = {"num_classes": 0, "use_final_norm": False, **_AVERAGE}
_PE_SCALE: Arguments = {"layer_scale_init_value": 0.1}


def _pe(size: str, patch: int, image: int, *groups: Arguments, **others) -> Arguments:
    """Return one of Perception Encoder's towers, which have a class token but for the gigantic."""
    grid = image // patch
    base = {**_PE, "use_class_token": False} if size == "pe_gigantic" else _PE_CLASS
    arguments = {**base, "rope_reference_grid": (grid, grid)}
    for group in groups:
        arguments |= group
    made = variant(size, patch, image, **{**arguments, **others})
    if made.get("pooling") == "attention":
        width = 4 * made["hidden_dim"]
        made["pooling_mlp_dim"] = None if width == made["mlp_dim"] else width
    return made


_PE_ROWS = [
    ("tiny", "tiny", 16, 384, 512),
    ("small", "small", 16, 384, 512),
    ("base", "base", 16, 224, 512),
    ("large", "large", 14, 336, 448),
    ("gigantic", "pe_gigantic", 14, 448, 448),
]

PERCEPTION_ENCODER: Variants = {
    **{
        f"vit_pe_core_{name}_patch{patch}_{core}": _pe(size, patch, core, _PE_CORE)
        for name, size, patch, core, _ in _PE_ROWS
    },
    **{
        f"vit_pe_spatial_{name}_patch{patch}_{spatial}": _pe(
            size, patch, spatial, _PE_FEATURES, _PE_SCALE if name == "gigantic" else {}
        )
        for name, size, patch, _, spatial in _PE_ROWS
    },
    "vit_pe_lang_large_patch14_448": _pe("large", 14, 448, _PE_FEATURES, _PE_SCALE, num_layers=23),
    "vit_pe_lang_gigantic_patch14_448": _pe(
        "pe_gigantic", 14, 448, _PE_FEATURES, _PE_SCALE, num_layers=47
    ),
}

_CENTRED: Arguments = {"num_classes": 0, "rope_type": "dinov3", **_NO_TABLE}
_DINOV3: Arguments = {**_CENTRED, "num_registers": 4, "layer_norm_epsilon": 1e-5, **SCALE}


def _dinov3() -> Variants:
    """Return DINOv3's backbones, without biases of queries and values and, as `qkvb`, with them."""
    models: Variants = {
        "vit_7b_patch16_dinov3": variant("dinov3_7b", 16, 256, **_DINOV3, **_NO_BIAS, **_GATED)
    }
    for name, size, extra in (
        ("tiny", "tiny", {}),
        ("small", "small", {}),
        ("small_plus", "small", _GATED),
        ("base", "base", {}),
        ("large", "large", {}),
        ("large_plus", "large", _GATED),
        ("huge_plus", "dinov3_huge", _GATED),
    ):
        models[f"vit_{name}_patch16_dinov3_qkvb"] = variant(
            size, 16, 256, **_DINOV3, **_NO_KEY_BIAS, **extra
        )
        if name not in ("tiny", "large_plus"):
            models[f"vit_{name}_patch16_dinov3"] = variant(
                size, 16, 256, **_DINOV3, **_NO_BIAS, **extra
            )
    return models


_LINGBOT_ROWS: Rows = [("small", 16, (512,)), ("base", 16, (512,)), ("large", 16, (512,))]

LINGBOT: Variants = {
    **family("vit_{size}_patch{patch}_lingbot", _LINGBOT_ROWS, **_DINOV3, **_NO_KEY_BIAS),
    "vit_giant_patch16_lingbot": variant("giant_dinov2", 16, 512, **_DINOV3, **_NO_BIAS, **_GATED),
}

_SAPIENS2: Arguments = {
    **_CENTRED,
    **_GATED,
    "image_shape": (1024, 768, 3),
    "num_registers": 8,
    "norm_type": "rms",
    "use_qk_norm": True,
    "full_head_blocks": 8,
    "layer_scale_init_value": 1.0,
    "use_mlp_layer_scale": False,
}

SAPIENS2: Variants = {
    f"vit_{name}_patch16_sapiens2": {
        **variant(size, 16, 1024),
        **_SAPIENS2,
        "num_key_value_heads": heads,
    }
    for name, size, heads in (
        ("base", "base", 6),
        ("large", "large", 8),
        ("huge", "huge", 8),
        ("giant", "sapiens2_giant", 12),
        ("5b", "sapiens2_5b", 16),
    )
}

ROTARY: Variants = {
    **EVA,
    **SBB,
    **NAVER,
    **PERCEPTION_ENCODER,
    **_dinov3(),
    **LINGBOT,
    **SAPIENS2,
}

# Meta's own names of DINOv3's networks, whose files have biases of queries and values.
DINOV3_ALIASES = {
    f"dinov3_vit{short}16{plus}": f"vit_{name}_patch16_dinov3{suffix}"
    for short, plus, name, suffix in (
        ("s", "", "small", "_qkvb"),
        ("s", "plus", "small_plus", "_qkvb"),
        ("b", "", "base", "_qkvb"),
        ("l", "", "large", "_qkvb"),
        ("l", "plus", "large_plus", "_qkvb"),
        ("h", "plus", "huge_plus", "_qkvb"),
        ("7b", "", "7b", ""),
    )
}
