"""Variants that were trained to classify: ViT, DeiT, and timm's own kinds of blocks."""

from kerasvit.models.vit.variants.families import (
    GAP,
    MAP,
    NORM_FIRST,
    PATCHES,
    SCALE,
    Arguments,
    Rows,
    family,
    variant,
)

PLAIN = {
    **family(
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
    "vit_base_patch16_224_miil": variant("base", 16, 224, use_qkv_bias=False),
    "vit_base_patch32_plus_256": variant("base_plus", 32, 256, **SCALE),
    "vit_base_patch16_plus_240": variant("base_plus", 16, 240, **SCALE),
    **family("eva_{size}_patch{patch}_{image}", [("large", 14, (196, 336))], pooling="average"),
    **family(
        "flexivit_{size}",
        [("small", 16, (240,)), ("base", 16, (240,)), ("large", 16, (240,))],
        position_resampling="bilinear",
        **PATCHES,
    ),
}

_SBB: Arguments = {**GAP, **SCALE, **PATCHES}

GLOBAL_AVERAGE = {
    **family(
        "vit_{size}_patch{patch}_gap_{image}",
        [("medium", 16, (240, 256, 384)), ("betwixt", 16, (256,))],
        use_qkv_bias=False,
        layer_scale_init_value=1e-6,
        **GAP,
        **NORM_FIRST,
    ),
    "vit_base_patch16_gap_224": variant("base_gap", 16, 224, **GAP, **NORM_FIRST),
    **family(
        "vit_{size}_patch{patch}_gap_{image}",
        [("huge", 14, (224,)), ("huge", 16, (448,)), ("giant", 16, (224,))],
        **GAP,
        **NORM_FIRST,
    ),
    **family(
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
    **family(
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
    "vit_base_patch16_reg4_gap_256": variant("base", 16, 256, num_registers=4, **GAP, **PATCHES),
    **family(
        "vit_{size}_patch{patch}_reg4_gap_{image}",
        [("so150m", 16, (256, 384))],
        num_registers=4,
        **GAP,
        **NORM_FIRST,
    ),
    "vit_so150m_patch16_reg4_map_256": variant("so150m", 16, 256, num_registers=4, **MAP),
    **family(
        "vit_{size}_patch{patch}_reg1_gap_{image}",
        [("so150m2", 16, (256, 384, 448))],
        num_registers=1,
        use_qkv_bias=False,
        **GAP,
        **SCALE,
    ),
}

_XP: Arguments = {
    "block_type": "parallel",
    "norm_type": "rms",
    "use_pre_norm": True,
    "use_qk_norm": True,
    "use_qkv_bias": False,
    **PATCHES,
}
_DIFFERENTIAL: Arguments = {"attention_type": "differential", "num_registers": 1, **_SBB}

OTHER_BLOCKS = {
    "vit_small_patch16_36x1_224": variant("small_deep", 16, 224, **SCALE),
    "vit_small_patch16_18x2_224": variant(
        "small_branched", 16, 224, block_type="branched", **SCALE
    ),
    "vit_base_patch16_18x2_224": variant("base_branched", 16, 224, block_type="branched", **SCALE),
    "vit_base_patch16_rpn_224": variant(
        "base", 16, 224, block_type="post_norm", use_qkv_bias=False, **SCALE, **GAP
    ),
    **family(
        "vit_{size}_patch{patch}_xp_{image}",
        [("base", 16, (224,)), ("large", 14, (224,)), ("huge", 14, (224,))],
        **_XP,
    ),
    "vit_pwee_patch16_reg1_gap_256": variant(
        "pwee", 16, 256, block_type="parallel", num_registers=1, **_SBB
    ),
    "vit_dpwee_patch16_reg1_gap_256": variant(
        "pwee", 16, 256, block_type="parallel", **_DIFFERENTIAL
    ),
    "vit_dwee_patch16_reg1_gap_256": variant("wee", 16, 256, **_DIFFERENTIAL),
    "vit_dlittle_patch16_reg1_gap_256": variant("little", 16, 256, **_DIFFERENTIAL),
}

_TEST: Arguments = {"num_registers": 1, **SCALE}

TEST = {
    "test_vit": variant("test_vit", 16, 160),
    "test_vit2": variant("test_vit2", 16, 160, **_TEST, **GAP),
    "test_vit3": variant("test_vit3", 16, 160, pool_prefix=True, **_TEST, **MAP),
    "test_vit4": variant("test_vit4", 16, 160, norm_type="rms", **_TEST, **GAP),
}

_DEIT_ROWS: Rows = [("tiny", 16, (224,)), ("small", 16, (224,)), ("base", 16, (224, 384))]

DEIT = {
    **family("deit_{size}_patch{patch}_{image}", _DEIT_ROWS),
    **family("deit_{size}_distilled_patch{patch}_{image}", _DEIT_ROWS, use_distillation_token=True),
    **family(
        "deit3_{size}_patch{patch}_{image}",
        [
            ("small", 16, (224, 384)),
            ("medium", 16, (224,)),
            ("base", 16, (224, 384)),
            ("large", 16, (224, 384)),
            ("huge", 14, (224,)),
        ],
        layer_scale_init_value=1e-6,
        **PATCHES,
    ),
}
