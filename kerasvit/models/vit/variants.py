"""Every named Vision Transformer: the architectures of timm, with DeiT, DINO and DINOv2.

Names are timm's, and so are the facts (timm/models/vision_transformer.py and deit.py of timm
1.0.31, Apache-2.0). A variant is a size, a patch size, an image size and what its family adds.
"""

from typing import Any

from kerasvit.models.vit.sizes import SIZES

Variants = dict[str, dict[str, Any]]


def _variant(size: str, patch: int, image: int, **arguments) -> dict[str, Any]:
    return {**SIZES[size], "patch_size": patch, "image_shape": (image, image, 3), **arguments}


def _family(
    pattern: str, rows: list[tuple[str, int, tuple[int, ...]]], prefix: str = "", **arguments
) -> Variants:
    """Return the variants of `(size, patch, images)` rows, each named by the pattern."""
    return {
        pattern.format(size=size, patch=patch, image=image): _variant(
            prefix + size, patch, image, **arguments
        )
        for size, patch, images in rows
        for image in images
    }


_GAP = {"pooling": "average", "use_class_token": False}
_MAP = {"pooling": "attention", "use_class_token": False}
_NORM_FIRST = {"norm_after_pooling": False}
_CLIP = {"use_pre_norm": True, "layer_norm_epsilon": 1e-5}
_QUICK = {"activation": "quick_gelu"}
_TANH = {"activation": "gelu_tanh"}
_SCALE = {"layer_scale_init_value": 1e-5}
_PATCHES = {"position_embedding": "patches"}

PLAIN = {
    **_family(
        "vit_{size}_patch{patch}_{image}",
        [
            ("tiny", 16, (224, 384)),
            ("small", 32, (224, 384)),
            ("small", 16, (224, 384)),
            ("small", 8, (224,)),
            ("base", 32, (224, 384)),
            ("base", 16, (224, 384)),
            ("base", 8, (224,)),
            ("large", 32, (224, 384)),
            ("large", 16, (224, 384)),
            ("large", 14, (224,)),
            ("huge", 14, (224,)),
            ("giant", 14, (224,)),
            ("gigantic", 14, (224,)),
        ],
    ),
    "vit_base_patch16_224_miil": _variant("base", 16, 224, use_qkv_bias=False),
    "vit_base_patch32_plus_256": _variant("base_plus", 32, 256, **_SCALE),
    "vit_base_patch16_plus_240": _variant("base_plus", 16, 240, **_SCALE),
    **_family("eva_{size}_patch{patch}_{image}", [("large", 14, (196, 336))], pooling="average"),
    **_family(
        "flexivit_{size}",
        [("small", 16, (240,)), ("base", 16, (240,)), ("large", 16, (240,))],
        position_resampling="bilinear",
        **_PATCHES,
    ),
}

_SBB = {**_GAP, **_SCALE, **_PATCHES}

GLOBAL_AVERAGE = {
    **_family(
        "vit_{size}_patch{patch}_gap_{image}",
        [("medium", 16, (240, 256, 384)), ("betwixt", 16, (256,))],
        use_qkv_bias=False,
        layer_scale_init_value=1e-6,
        **_GAP,
        **_NORM_FIRST,
    ),
    "vit_base_patch16_gap_224": _variant("base_gap", 16, 224, **_GAP, **_NORM_FIRST),
    **_family(
        "vit_{size}_patch{patch}_gap_{image}",
        [("huge", 14, (224,)), ("huge", 16, (448,)), ("giant", 16, (224,))],
        **_GAP,
        **_NORM_FIRST,
    ),
    **_family(
        "vit_{size}_patch{patch}_reg1_gap_{image}",
        [
            ("wee", 16, (256,)),
            ("little", 16, (256,)),
            ("medium", 16, (256,)),
            ("betwixt", 16, (256,)),
        ],
        num_registers=1,
        **_SBB,
    ),
    **_family(
        "vit_{size}_patch{patch}_reg4_gap_{image}",
        [
            ("little", 16, (256,)),
            ("medium", 16, (256,)),
            ("mediumd", 16, (256, 384)),
            ("betwixt", 16, (256, 384)),
        ],
        num_registers=4,
        **_SBB,
    ),
    "vit_base_patch16_reg4_gap_256": _variant("base", 16, 256, num_registers=4, **_GAP, **_PATCHES),
    **_family(
        "vit_{size}_patch{patch}_reg4_gap_{image}",
        [("so150m", 16, (256, 384))],
        num_registers=4,
        **_GAP,
        **_NORM_FIRST,
    ),
    "vit_so150m_patch16_reg4_map_256": _variant("so150m", 16, 256, num_registers=4, **_MAP),
    **_family(
        "vit_{size}_patch{patch}_reg1_gap_{image}",
        [("so150m2", 16, (256, 384, 448))],
        num_registers=1,
        use_qkv_bias=False,
        **_GAP,
        **_SCALE,
    ),
}

_XP = {
    "block_type": "parallel",
    "norm_type": "rms",
    "use_pre_norm": True,
    "use_qk_norm": True,
    "use_qkv_bias": False,
    **_PATCHES,
}
_DIFFERENTIAL = {"attention_type": "differential", "num_registers": 1, **_SBB}

OTHER_BLOCKS = {
    "vit_small_patch16_36x1_224": _variant("small_deep", 16, 224, **_SCALE),
    "vit_small_patch16_18x2_224": _variant(
        "small_branched", 16, 224, block_type="branched", **_SCALE
    ),
    "vit_base_patch16_18x2_224": _variant(
        "base_branched", 16, 224, block_type="branched", **_SCALE
    ),
    "vit_base_patch16_rpn_224": _variant(
        "base", 16, 224, block_type="post_norm", use_qkv_bias=False, **_SCALE, **_GAP
    ),
    **_family(
        "vit_{size}_patch{patch}_xp_{image}",
        [("base", 16, (224,)), ("large", 14, (224,)), ("huge", 14, (224,))],
        **_XP,
    ),
    "vit_pwee_patch16_reg1_gap_256": _variant(
        "pwee", 16, 256, block_type="parallel", num_registers=1, **_SBB
    ),
    "vit_dpwee_patch16_reg1_gap_256": _variant(
        "pwee", 16, 256, block_type="parallel", **_DIFFERENTIAL
    ),
    "vit_dwee_patch16_reg1_gap_256": _variant("wee", 16, 256, **_DIFFERENTIAL),
    "vit_dlittle_patch16_reg1_gap_256": _variant("little", 16, 256, **_DIFFERENTIAL),
}

CLIP = {
    **_family(
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
        **_CLIP,
    ),
    "vit_base_patch16_plus_clip_240": _variant("base_plus", 16, 240, **_CLIP),
    **_family(
        "vit_{size}_patch{patch}_clip_quickgelu_{image}",
        [
            ("base", 32, (224,)),
            ("base", 16, (224,)),
            ("large", 14, (224, 336)),
            ("huge", 14, (224, 378)),
            ("gigantic", 14, (224,)),
        ],
        **_CLIP,
        **_QUICK,
    ),
}


def _siglip() -> Variants:
    """Return SigLIP's towers: with attention pooling, and `gap` without it."""
    exact = [
        ("base", 16, (224, 256, 384, 512)),
        ("large", 16, (256, 384)),
        ("so400m", 14, (224, 378)),
    ]
    tanh = [
        ("base", 32, (256,)),
        ("large", 16, (512,)),
        ("so400m", 16, (256, 384, 512)),
        ("giantopt", 16, (256, 384)),
    ]
    towers = {}
    for infix, readout in (("", _MAP), ("gap_", {**_GAP, **_NORM_FIRST})):
        pattern = f"vit_{{size}}_patch{{patch}}_siglip_{infix}{{image}}"
        towers |= _family(pattern, exact, **readout) | _family(pattern, tanh, **readout, **_TANH)
        odd = [("so400m", 14, (384,))]
        towers |= _family(pattern, odd, ignore_remainder=True, **readout)
    larger = [("so400m", 14, (448, 896))]
    pattern = "vit_{size}_patch{patch}_siglip_gap_{image}"
    return towers | _family(pattern, larger, **_GAP, **_NORM_FIRST)


_GIANT = {"mlp_type": "gated", "activation": "silu"}
_DINOV2 = {"num_classes": 0, "position_resampling": "bicubic_offset", **_SCALE}
_REGISTERS = {"num_registers": 4, "position_resampling": "bicubic_antialias", **_PATCHES}
_TIPS = {"num_classes": 0, "num_registers": 1, "layer_scale_init_value": 1.0, **_PATCHES}
_RADIO = {"num_classes": 0, "use_final_norm": False, **_PATCHES}


def _dinov2() -> Variants:
    """Return DINOv2's backbones, with and without registers, and TIPS v2's."""
    models = {}
    for name, size, extra in (
        ("small", "small", {}),
        ("base", "base", {}),
        ("large", "large", {}),
        ("giant", "giant_dinov2", _GIANT),
    ):
        dinov2 = {**_DINOV2, **extra}
        models[f"vit_{name}_patch14_dinov2"] = _variant(size, 14, 518, **dinov2)
        models[f"vit_{name}_patch14_reg4_dinov2"] = _variant(
            size, 14, 518, **{**dinov2, **_REGISTERS}
        )
        if name != "small":
            models[f"vit_{name}_patch14_reg1_tipsv2"] = _variant(size, 14, 448, **_TIPS, **extra)
    models["vit_so400m_patch14_reg1_tipsv2"] = _variant("so400m", 14, 448, **_TIPS)
    return models


def _radio() -> Variants:
    """Return C-RADIO's backbones; its versions differ in registers and resampling."""
    rows = [
        ("base", "v3", "base", 7, "bilinear_align_corners", _SCALE),
        ("large", "v3", "large", 7, "bilinear", _SCALE),
        ("huge", "v3", "huge", 7, "bilinear_align_corners", {}),
        ("giant", "v3", "giant_radio", 7, "bilinear", {}),
        ("so400m", "v4", "so400m", 9, "bilinear", {}),
        ("huge", "v4", "huge", 9, "bilinear", {}),
    ]
    return {
        f"vit_{name}_patch16_radio_{version}": _variant(
            size, 16, 512, num_registers=registers, position_resampling=rule, **_RADIO, **extra
        )
        for name, version, size, registers, rule, extra in rows
    }


_AIMV2 = {
    "num_classes": 0,
    "use_qkv_bias": False,
    "use_projection_bias": False,
    "use_patch_norm": True,
    "norm_type": "rms",
    "layer_norm_epsilon": 1e-5,
    **_GIANT,
    **_GAP,
    **_NORM_FIRST,
}
_BEIT3 = {"pooling": "average", "use_sub_norm": True, "layer_norm_epsilon": 1e-5}

TOWERS = {
    **_siglip(),
    **_dinov2(),
    **_radio(),
    "vit_intern300m_patch14_448": _variant(
        "large", 14, 448, num_classes=0, use_final_norm=False, layer_scale_init_value=0.1
    ),
    **_family(
        "aimv2_{size}_patch{patch}_{image}",
        [(size, 14, (224, 336, 448)) for size in ("large", "huge", "1b", "3b")],
        prefix="aimv2_",
        **_AIMV2,
    ),
    **_family(
        "beit3_{size}_patch{patch}_{image}",
        [("base", 16, (224,)), ("large", 16, (224,)), ("giant", 14, (224, 336))],
        **_BEIT3,
    ),
}

_TEST = {"num_registers": 1, **_SCALE}

TEST = {
    "test_vit": _variant("test_vit", 16, 160),
    "test_vit2": _variant("test_vit2", 16, 160, **_TEST, **_GAP),
    "test_vit3": _variant("test_vit3", 16, 160, pool_prefix=True, **_TEST, **_MAP),
    "test_vit4": _variant("test_vit4", 16, 160, norm_type="rms", **_TEST, **_GAP),
}

_DEIT_ROWS = [("tiny", 16, (224,)), ("small", 16, (224,)), ("base", 16, (224, 384))]

DEIT = {
    **_family("deit_{size}_patch{patch}_{image}", _DEIT_ROWS),
    **_family(
        "deit_{size}_distilled_patch{patch}_{image}", _DEIT_ROWS, use_distillation_token=True
    ),
    **_family(
        "deit3_{size}_patch{patch}_{image}",
        [
            ("small", 16, (224, 384)),
            ("medium", 16, (224,)),
            ("base", 16, (224, 384)),
            ("large", 16, (224, 384)),
            ("huge", 14, (224,)),
        ],
        layer_scale_init_value=1e-6,
        **_PATCHES,
    ),
}

# Our own, for CIFAR-10.
NANO = {"vit_nano_patch4_32": _variant("nano", 4, 32, num_classes=10)}

VARIANTS: Variants = {
    **PLAIN,
    **NANO,
    **GLOBAL_AVERAGE,
    **OTHER_BLOCKS,
    **CLIP,
    **TOWERS,
    **TEST,
    **DEIT,
}

_DINO = {"num_classes": 0, "position_resampling": "bicubic_offset"}

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dino_vits16": ("vit_small_patch16_224", _DINO),
    "dino_vits8": ("vit_small_patch8_224", _DINO),
    "dino_vitb16": ("vit_base_patch16_224", _DINO),
    "dino_vitb8": ("vit_base_patch8_224", _DINO),
    **{
        f"dinov2_vit{size[0]}14{suffix}": (f"vit_{size}_patch14{infix}_dinov2", {})
        for suffix, infix in [("", ""), ("_reg", "_reg4")]
        for size in ("small", "base", "large", "giant")
    },
}
