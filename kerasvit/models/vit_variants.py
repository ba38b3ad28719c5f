"""Named sizes of the Vision Transformer: ViT, DeiT, DeiT III and DINOv2.

Names are timm's. Sizes: Dosovitskiy et al. 2021, table 1 (https://arxiv.org/abs/2010.11929); Zhai
et al. 2022, table 2 (https://arxiv.org/abs/2106.04560) for giant and gigantic; Touvron et al. 2021,
table 1 (https://arxiv.org/abs/2012.12877); Touvron et al. 2022 (https://arxiv.org/abs/2204.07118);
Oquab et al. 2023, table 17 (https://arxiv.org/abs/2304.07193).
"""

from typing import Any


def _size(hidden_dim: int, num_layers: int, num_heads: int, mlp_dim: int) -> dict[str, int]:
    return {
        "hidden_dim": hidden_dim,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "mlp_dim": mlp_dim,
    }


SIZES = {
    "tiny": _size(192, 12, 3, 768),
    "small": _size(384, 12, 6, 1536),
    "medium": _size(512, 12, 8, 2048),
    "base": _size(768, 12, 12, 3072),
    "large": _size(1024, 24, 16, 4096),
    "huge": _size(1280, 32, 16, 5120),
    "giant": _size(1408, 40, 16, 6144),
    "gigantic": _size(1664, 48, 16, 8192),
}


def _variant(size: str, patch: int, image: int, **arguments) -> dict[str, Any]:
    return {**SIZES[size], "patch_size": patch, "image_shape": (image, image, 3), **arguments}


VIT = {
    f"vit_{size}_patch{patch}_{image}": _variant(size, patch, image)
    for size, patch, image in [
        ("tiny", 16, 224),
        ("tiny", 16, 384),
        ("small", 32, 224),
        ("small", 32, 384),
        ("small", 16, 224),
        ("small", 16, 384),
        ("small", 8, 224),
        ("base", 32, 224),
        ("base", 32, 384),
        ("base", 16, 224),
        ("base", 16, 384),
        ("base", 8, 224),
        ("large", 32, 224),
        ("large", 32, 384),
        ("large", 16, 224),
        ("large", 16, 384),
        ("large", 14, 224),
        ("huge", 14, 224),
        ("giant", 14, 224),
        ("gigantic", 14, 224),
    ]
}

DEIT_SIZES = [("tiny", 224), ("small", 224), ("base", 224), ("base", 384)]

DEIT = {
    f"deit_{size}{infix}_patch16_{image}": _variant(
        size, 16, image, use_distillation_token=bool(infix)
    )
    for infix in ("", "_distilled")
    for size, image in DEIT_SIZES
}

DEIT3 = {
    f"deit3_{size}_patch{patch}_{image}": _variant(
        size, patch, image, position_embedding="patches", layer_scale_init_value=1e-6
    )
    for size, patch, image in [
        ("small", 16, 224),
        ("small", 16, 384),
        ("medium", 16, 224),
        ("base", 16, 224),
        ("base", 16, 384),
        ("large", 16, 224),
        ("large", 16, 384),
        ("huge", 14, 224),
    ]
}

_DINOV2 = {
    "num_classes": 0,
    "layer_scale_init_value": 1e-5,
    "position_resampling": "bicubic_offset",
}
_DINOV2_GIANT = {**_size(1536, 40, 24, 4096), "mlp_type": "gated", "activation": "silu"}
_REGISTERS = {
    "num_registers": 4,
    "position_embedding": "patches",
    "position_resampling": "bicubic_antialias",
}

DINOV2 = {
    f"vit_{size}_patch14{infix}_dinov2": _variant(
        size,
        14,
        518,
        **{**_DINOV2, **(_DINOV2_GIANT if size == "giant" else {}), **registers},
    )
    for infix, registers in [("", {}), ("_reg4", _REGISTERS)]
    for size in ("small", "base", "large", "giant")
}

VARIANTS: dict[str, dict[str, Any]] = {**VIT, **DEIT, **DEIT3, **DINOV2}

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
