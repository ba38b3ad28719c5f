"""Named sizes of XCiT.

Names are timm's. Sizes and LayerScale: El-Nouby et al. 2021, table 1
(https://arxiv.org/abs/2106.09681), and the reference code xcit/xcit.py.
"""

from typing import Any

# By name: width of a token, blocks, heads.
_SIZES = {
    "nano_12": (128, 12, 4),
    "tiny_12": (192, 12, 4),
    "tiny_24": (192, 24, 4),
    "small_12": (384, 12, 8),
    "small_24": (384, 24, 8),
    "medium_24": (512, 24, 8),
    "large_24": (768, 24, 16),
}


def _variant(size: str, patch_size: int, image: int) -> dict[str, Any]:
    hidden_dim, num_layers, num_heads = _SIZES[size]
    return {
        "image_shape": (image, image, 3),
        "patch_size": patch_size,
        "hidden_dim": hidden_dim,
        "num_layers": num_layers,
        "num_class_layers": 2,
        "num_heads": num_heads,
        "mlp_dim": 4 * hidden_dim,
        "layer_scale_init_value": 1.0 if num_layers == 12 else 1e-5,
        "use_tokens_norm": not size.startswith("nano"),
    }


VARIANTS: dict[str, dict[str, Any]] = {
    f"xcit_{size}_p{patch_size}_{image}": _variant(size, patch_size, image)
    for size in _SIZES
    for patch_size in (16, 8)
    for image in (224, 384)
}
# Our own, for CIFAR-10.
VARIANTS["xcit_nano_patch4_32"] = {
    **_variant("nano_12", 4, 32),
    "hidden_dim": 96,
    "mlp_dim": 384,
    "num_layers": 6,
    "num_classes": 10,
}

# Names of the authors' code, and of torch.hub in the repository of DINO.
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"xcit_{size}_p{patch_size}": (f"xcit_{size}_p{patch_size}_224", {})
        for size in _SIZES
        for patch_size in (16, 8)
    },
    **{
        f"dino_xcit_{size}_p{patch_size}": (
            f"xcit_{size}_p{patch_size}_224",
            {"num_classes": 0},
        )
        for size in ("small_12", "medium_24")
        for patch_size in (16, 8)
    },
}
