"""Tiny models of each way in which rotary, BEiT's and XCiT's networks differ from a plain ViT."""

import numpy as np

from kerasvit.models import VisionTransformer, XCiT

# A grid of 2x3 patches, heads of 8 elements, LayerScale that hides nothing.
TINY = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "num_classes": 5,
    "hidden_dim": 32,
    "num_layers": 2,
    "num_heads": 4,
    "mlp_dim": 20,
    "layer_scale_init_value": 0.5,
}
_GATED = {"mlp_type": "gated", "activation": "silu"}
KINDS = {
    "DINOv3": (
        VisionTransformer,
        {
            **TINY,
            **_GATED,
            "rope_type": "dinov3",
            "position_embedding": "none",
            "num_registers": 2,
            "use_key_bias": False,
        },
    ),
    "EVA-02": (
        VisionTransformer,
        {
            **TINY,
            **_GATED,
            "rope_type": "eva02",
            "rope_reference_grid": (4, 4),
            "use_sub_norm": True,
            "use_key_bias": False,
            "pooling": "average",
        },
    ),
    "axial": (
        VisionTransformer,
        {**TINY, "rope_type": "axial", "position_embedding": "patches", "block_type": "post_norm"},
    ),
    "mixed": (VisionTransformer, {**TINY, "rope_type": "mixed", "position_embedding": "none"}),
    "PE": (
        VisionTransformer,
        {
            **TINY,
            "rope_type": "pe",
            "rope_reference_grid": (2, 3),
            "use_pre_norm": True,
            "pooling": "attention",
            "pooling_heads": 2,
            "pool_prefix": True,
        },
    ),
    "grouped": (
        VisionTransformer,
        {
            **TINY,
            **_GATED,
            "num_layers": 3,
            "rope_type": "dinov3",
            "position_embedding": "none",
            "norm_type": "rms",
            "num_key_value_heads": 2,
            "full_head_blocks": 1,
            "use_qk_norm": True,
            "use_mlp_layer_scale": False,
        },
    ),
    "BEiT": (
        VisionTransformer,
        {
            **TINY,
            "use_relative_position_bias": True,
            "position_embedding": "none",
            "use_key_bias": False,
            "pooling": "average",
        },
    ),
    "XCiT": (XCiT, {**TINY, "num_class_layers": 1}),
}


def make(kind, **overrides):
    """Return a model of a kind whose every weight is away from its start."""
    model_type, arguments = KINDS[kind]
    model = model_type(**{**arguments, **overrides})
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.normal(scale=0.3, size=weight.shape)
        # A variance is not negative.
        weight.assign(0.5 + abs(values) if weight.path.endswith("moving_variance") else values)
    return model


def images_of(batch=4):
    """Return pictures for these models."""
    return np.random.default_rng(1).normal(size=(batch, 16, 24, 3)).astype("float32")
