"""Every named Vision Transformer: the architectures of timm, with DeiT, DINO and DINOv2.

Names are timm's, and so are the facts (timm/models/vision_transformer.py, deit.py,
eva.py and beit.py of timm 1.0.31, Apache-2.0).
"""

from kerasvit.models.vit.variants.beit import BEIT
from kerasvit.models.vit.variants.classifiers import DEIT, GLOBAL_AVERAGE, OTHER_BLOCKS, PLAIN, TEST
from kerasvit.models.vit.variants.families import Arguments, Variants, variant
from kerasvit.models.vit.variants.rotary import DINOV3_ALIASES, ROTARY
from kerasvit.models.vit.variants.towers import CLIP, TOWERS

# Our own, for CIFAR-10.
NANO = {"vit_nano_patch4_32": variant("nano", 4, 32, num_classes=10)}

VARIANTS: Variants = {
    **PLAIN,
    **NANO,
    **GLOBAL_AVERAGE,
    **OTHER_BLOCKS,
    **CLIP,
    **TOWERS,
    **TEST,
    **DEIT,
    **ROTARY,
    **BEIT,
}

_DINO: Arguments = {"num_classes": 0, "position_resampling": "bicubic_offset"}

ALIASES: dict[str, tuple[str, Arguments]] = {
    "dino_vits16": ("vit_small_patch16_224", _DINO),
    "dino_vits8": ("vit_small_patch8_224", _DINO),
    "dino_vitb16": ("vit_base_patch16_224", _DINO),
    "dino_vitb8": ("vit_base_patch8_224", _DINO),
    **{
        f"dinov2_vit{size[0]}14{suffix}": (f"vit_{size}_patch14{infix}_dinov2", {})
        for suffix, infix in [("", ""), ("_reg", "_reg4")]
        for size in ("small", "base", "large", "giant")
    },
    **{alias: (name, {}) for alias, name in DINOV3_ALIASES.items()},
}
