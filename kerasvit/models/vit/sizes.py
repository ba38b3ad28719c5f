"""Named sizes of the Vision Transformer: width, depth, heads and MLP width.

Sources: Dosovitskiy et al. 2021, table 1 (https://arxiv.org/abs/2010.11929); Zhai et al. 2022,
table 2 (https://arxiv.org/abs/2106.04560) for giant and gigantic; Alabdulmohsin et al. 2023
(https://arxiv.org/abs/2305.13035) for so400m and so150m; El-Nouby et al. 2024, table 1
(https://arxiv.org/abs/2411.14402) for AIMv2; Oquab et al. 2023, table 17
(https://arxiv.org/abs/2304.07193) for DINOv2's giant; Fang et al. 2023
(https://arxiv.org/abs/2303.11331) for EVA-02, whose gated MLPs are two thirds as wide as plain
ones; Simeoni et al. 2025 (https://arxiv.org/abs/2508.10104) for DINOv3; nano is ours; the
others are timm's own.
"""

_COLUMNS = ("hidden_dim", "num_layers", "num_heads", "mlp_dim")

SIZES = {
    name: dict(zip(_COLUMNS, numbers, strict=True))
    for name, numbers in {
        "tiny": (192, 12, 3, 768),
        "xsmall": (256, 10, 4, 1024),
        "wee": (256, 14, 4, 1280),
        "pwee": (256, 16, 4, 1280),
        "little": (320, 14, 5, 1792),
        "small": (384, 12, 6, 1536),
        "small_deep": (384, 36, 6, 1536),
        "small_branched": (384, 18, 6, 1536),
        "medium": (512, 12, 8, 2048),
        "mediumd": (512, 20, 8, 2048),
        "betwixt": (640, 12, 10, 2560),
        "base": (768, 12, 12, 3072),
        "base_branched": (768, 18, 12, 3072),
        "base_gap": (768, 12, 16, 3072),
        "base_plus": (896, 12, 14, 3584),
        "so150m2": (832, 21, 13, 2176),
        "so150m": (896, 18, 14, 2304),
        "large": (1024, 24, 16, 4096),
        "so400m": (1152, 27, 16, 4304),
        "huge": (1280, 32, 16, 5120),
        "giant": (1408, 40, 16, 6144),
        "giantopt": (1536, 40, 16, 6144),
        "giant_radio": (1536, 40, 24, 6144),
        "giant_dinov2": (1536, 40, 24, 4096),
        "gigantic": (1664, 48, 16, 8192),
        "aimv2_large": (1024, 24, 8, 2816),
        "aimv2_huge": (1536, 24, 12, 4096),
        "aimv2_1b": (2048, 24, 16, 5632),
        "aimv2_3b": (3072, 24, 24, 8192),
        "eva02_tiny": (192, 12, 3, 512),
        "eva02_small": (384, 12, 6, 1024),
        "eva02_base": (768, 12, 12, 2048),
        "eva02_large": (1024, 24, 16, 2730),
        "eva02_enormous": (1792, 64, 16, 15360),
        "pe_gigantic": (1536, 50, 16, 8960),
        "dinov3_huge": (1280, 32, 20, 5120),
        "dinov3_7b": (4096, 40, 32, 8192),
        "sapiens2_giant": (1536, 40, 24, 6144),
        "sapiens2_5b": (2432, 56, 32, 9728),
        "nano": (96, 9, 3, 384),
        "test_vit": (64, 6, 2, 192),
        "test_vit2": (64, 8, 2, 192),
        "test_vit3": (96, 9, 3, 192),
        "test_vit4": (96, 9, 3, 288),
    }.items()
}
