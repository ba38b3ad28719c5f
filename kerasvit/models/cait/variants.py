"""Named sizes of CaiT.

Names are timm's. Sizes and LayerScale: Touvron et al. 2021, table 3
(https://arxiv.org/abs/2103.17239) and the reference code deit/cait_models.py.
"""

from typing import Any


def _variant(hidden_dim: int, num_layers: int, image: int, scale: float) -> dict[str, Any]:
    return {
        "image_shape": (image, image, 3),
        "patch_size": 16,
        "hidden_dim": hidden_dim,
        "num_layers": num_layers,
        "num_class_layers": 2,
        "num_heads": hidden_dim // 48,
        "mlp_dim": 4 * hidden_dim,
        "layer_scale_init_value": scale,
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "cait_xxs24_224": _variant(192, 24, 224, 1e-5),
    "cait_xxs24_384": _variant(192, 24, 384, 1e-5),
    "cait_xxs36_224": _variant(192, 36, 224, 1e-5),
    "cait_xxs36_384": _variant(192, 36, 384, 1e-5),
    "cait_xs24_384": _variant(288, 24, 384, 1e-5),
    "cait_s24_224": _variant(384, 24, 224, 1e-5),
    "cait_s24_384": _variant(384, 24, 384, 1e-5),
    "cait_s36_384": _variant(384, 36, 384, 1e-6),
    "cait_m36_384": _variant(768, 36, 384, 1e-6),
    "cait_m48_448": _variant(768, 48, 448, 1e-6),
    # Our own, for CIFAR-10; LayerScale starts at 0.1 in CaiTs of up to 18 blocks.
    "cait_nano_patch4_32": {
        **_variant(96, 6, 32, 0.1),
        "patch_size": 4,
        "num_heads": 4,
        "num_classes": 10,
    },
}

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "cait_XXS24_224": ("cait_xxs24_224", {}),
    "cait_XXS24": ("cait_xxs24_384", {}),
    "cait_XXS36_224": ("cait_xxs36_224", {}),
    "cait_XXS36": ("cait_xxs36_384", {}),
    "cait_XS24": ("cait_xs24_384", {}),
    "cait_S24_224": ("cait_s24_224", {}),
    "cait_S24": ("cait_s24_384", {}),
    "cait_S36": ("cait_s36_384", {}),
    "cait_M36": ("cait_m36_384", {}),
    "cait_M48": ("cait_m48_448", {}),
}
