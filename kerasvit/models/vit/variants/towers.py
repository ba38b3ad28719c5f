"""Variants that give features: CLIP, SigLIP, DINOv2, C-RADIO, AIMv2, BEiT-3 and others."""

from kerasvit.models.vit.variants.families import (
    CLIP_TOWER,
    GAP,
    MAP,
    NORM_FIRST,
    PATCHES,
    QUICK,
    SCALE,
    TANH,
    Arguments,
    Rows,
    Variants,
    family,
    variant,
)

CLIP = {
    **family(
        "vit_{size}_patch{patch}_clip_{image}",
        [
            ("xsmall", 16, (224,)),
            ("medium", 32, (224,)),
            ("medium", 16, (224,)),
            ("betwixt", 32, (224,)),
            ("base", 32, (224, 256, 384, 448)),
            ("base", 16, (224, 384)),
            ("large", 14, (224, 336)),
            ("huge", 14, (224, 336, 378)),
            ("giant", 14, (224,)),
            ("gigantic", 14, (224, 378)),
        ],
        **CLIP_TOWER,
    ),
    "vit_base_patch16_plus_clip_240": variant("base_plus", 16, 240, **CLIP_TOWER),
    **family(
        "vit_{size}_patch{patch}_clip_quickgelu_{image}",
        [
            ("base", 32, (224,)),
            ("base", 16, (224,)),
            ("large", 14, (224, 336)),
            ("huge", 14, (224, 378)),
            ("gigantic", 14, (224,)),
        ],
        **CLIP_TOWER,
        **QUICK,
    ),
}


def _siglip() -> Variants:
    """Return SigLIP's towers: with attention pooling, and `gap` without it."""
    exact: Rows = [
        ("base", 16, (224, 256, 384, 512)),
        ("large", 16, (256, 384)),
        ("so400m", 14, (224, 378)),
    ]
    tanh: Rows = [
        ("base", 32, (256,)),
        ("large", 16, (512,)),
        ("so400m", 16, (256, 384, 512)),
        ("giantopt", 16, (256, 384)),
    ]
    towers: Variants = {}
    for infix, readout in (("", MAP), ("gap_", {**GAP, **NORM_FIRST})):
        pattern = f"vit_{{size}}_patch{{patch}}_siglip_{infix}{{image}}"
        towers |= family(pattern, exact, **readout) | family(pattern, tanh, **readout, **TANH)
        odd: Rows = [("so400m", 14, (384,))]
        towers |= family(pattern, odd, ignore_remainder=True, **readout)
    larger: Rows = [("so400m", 14, (448, 896))]
    pattern = "vit_{size}_patch{patch}_siglip_gap_{image}"
    return towers | family(pattern, larger, **GAP, **NORM_FIRST)


_GIANT: Arguments = {"mlp_type": "gated", "activation": "silu"}
_DINOV2: Arguments = {"num_classes": 0, "position_resampling": "bicubic_offset", **SCALE}
_REGISTERS: Arguments = {"num_registers": 4, "position_resampling": "bicubic_antialias", **PATCHES}
_TIPS: Arguments = {"num_classes": 0, "num_registers": 1, "layer_scale_init_value": 1.0, **PATCHES}
_RADIO: Arguments = {"num_classes": 0, "use_final_norm": False, **PATCHES}


def _dinov2() -> Variants:
    """Return DINOv2's backbones, with and without registers, and TIPS v2's."""
    models: Variants = {}
    for name, size, extra in (
        ("small", "small", {}),
        ("base", "base", {}),
        ("large", "large", {}),
        ("giant", "giant_dinov2", _GIANT),
    ):
        dinov2 = {**_DINOV2, **extra}
        models[f"vit_{name}_patch14_dinov2"] = variant(size, 14, 518, **dinov2)
        models[f"vit_{name}_patch14_reg4_dinov2"] = variant(
            size, 14, 518, **{**dinov2, **_REGISTERS}
        )
        if name != "small":
            models[f"vit_{name}_patch14_reg1_tipsv2"] = variant(size, 14, 448, **_TIPS, **extra)
    models["vit_so400m_patch14_reg1_tipsv2"] = variant("so400m", 14, 448, **_TIPS)
    return models


def _radio() -> Variants:
    """Return C-RADIO's backbones; its versions differ in registers and resampling."""
    rows = [
        ("base", "v3", "base", 7, "bilinear_align_corners", SCALE),
        ("large", "v3", "large", 7, "bilinear", SCALE),
        ("huge", "v3", "huge", 7, "bilinear_align_corners", {}),
        ("giant", "v3", "giant_radio", 7, "bilinear", {}),
        ("so400m", "v4", "so400m", 9, "bilinear", {}),
        ("huge", "v4", "huge", 9, "bilinear", {}),
    ]
    return {
        f"vit_{name}_patch16_radio_{version}": variant(
            size, 16, 512, num_registers=registers, position_resampling=rule, **_RADIO, **extra
        )
        for name, version, size, registers, rule, extra in rows
    }


_AIMV2: Arguments = {
    "num_classes": 0,
    "use_qkv_bias": False,
    "use_projection_bias": False,
    "use_patch_norm": True,
    "norm_type": "rms",
    "layer_norm_epsilon": 1e-5,
    **_GIANT,
    **GAP,
    **NORM_FIRST,
}
_BEIT3: Arguments = {"pooling": "average", "use_sub_norm": True, "layer_norm_epsilon": 1e-5}

TOWERS = {
    **_siglip(),
    **_dinov2(),
    **_radio(),
    "vit_intern300m_patch14_448": variant(
        "large", 14, 448, num_classes=0, use_final_norm=False, layer_scale_init_value=0.1
    ),
    **family(
        "aimv2_{size}_patch{patch}_{image}",
        [(size, 14, (224, 336, 448)) for size in ("large", "huge", "1b", "3b")],
        prefix="aimv2_",
        **_AIMV2,
    ),
    **family(
        "beit3_{size}_patch{patch}_{image}",
        [("base", 16, (224,)), ("large", 16, (224,)), ("giant", 14, (224, 336))],
        **_BEIT3,
    ),
}
