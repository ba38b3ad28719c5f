"""How timm's EVA module names what other ViTs have not: queries, keys and values apart.

Source: timm/models/eva.py `EvaAttention`, timm/models/beit.py `Attention`,
timm/layers/attention.py `AttentionRope`.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from kerasvit.conversion.names.rules import Kind, Rule

_ATTENTION, _TARGET = "blocks.{i}.attn", "sa_ffn_block_{i:02d}/attention"
_PARTS = ("q", "k", "v")


def _key_width(width: int, units: int) -> int:
    """Return how wide keys and values are beside queries as wide as a token."""
    if units < width or (units - width) % 2:
        raise ValueError(f"{units} units can't be queries of {width}, keys and values")
    return (units - width) // 2


def _split_kernel(kernel: np.ndarray) -> tuple[np.ndarray, ...]:
    weight, width = kernel.T, kernel.shape[0]
    key_width = _key_width(width, len(weight))
    return tuple(np.split(weight, (width, width + key_width)))


# Grouped queries have narrower keys and values.
_JOINT_KERNEL = Kind(
    forward=lambda *parts: np.concatenate(parts).T,
    shape=lambda query, key, value: (query[1], query[0] + key[0] + value[0]),
    backward=_split_kernel,
)
SEPARATE_BIASES = tuple(
    Rule(f"{_ATTENTION}.{part}_bias", f"{_TARGET}/{name}_bias")
    for part, name in (("q", "query"), ("v", "value"))
)
RELATIVE_BIASES = (
    Rule(f"{_ATTENTION}.relative_position_bias_table", f"{_TARGET}/relative_bias/table"),
)
SEPARATE_PROJECTIONS = (
    Rule(
        tuple(f"{_ATTENTION}.{part}_proj.weight" for part in _PARTS),
        f"{_TARGET}/qkv/kernel",
        _JOINT_KERNEL,
    ),
    Rule(f"{_ATTENTION}.q_proj.bias", f"{_TARGET}/query_bias"),
    Rule(f"{_ATTENTION}.v_proj.bias", f"{_TARGET}/value_bias"),
)


def separate_projection_biases(width: int = 0) -> tuple[Rule, ...]:
    """Return the rule of three biases that become one.

    Args:
        width: of a token, which tells the three apart on the way back; 0 where there is none.
    """

    def split(bias: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.split(bias, (width, width + _key_width(width, len(bias)))))

    kind = Kind(
        forward=lambda *parts: np.concatenate(parts),
        shape=lambda query, key, value: (query[0] + key[0] + value[0],),
        backward=split if width else None,
    )
    sources = tuple(f"{_ATTENTION}.{part}_proj.bias" for part in _PARTS)
    return (Rule(sources, f"{_TARGET}/qkv/bias", kind),)


def has_eva_names(names: Collection[str]) -> bool:
    """Tell whether these are the names of timm's EVA module, as far as names tell."""
    marks = {"blocks.0.attn.q_bias", "blocks.0.attn.q_proj.weight", "rope.freqs"}
    return bool(marks & set(names)) or "pos_embed" not in names


def is_evas(model: Any) -> bool:
    """Tell whether timm makes such a model by its EVA module.

    Args:
        model: a `ScoreModel`.
    """
    if model.family != "vit" or is_beits(model):
        return False
    return model.rope_type is not None or not model.use_key_bias


def is_beits(model: Any) -> bool:
    """Tell whether timm makes such a model by its BEiT module, whose names are those of EVA's."""
    return model.family == "vit" and model.use_relative_position_bias


def is_separate(model: Any) -> bool:
    """Tell whether the module keeps queries, keys and values of such a model as three layers.

    Args:
        model: a `VisionTransformer`, or an object with its arguments as attributes.
    """
    has_sub_norm = model.use_sub_norm or model.use_mlp_sub_norm
    return model.num_key_value_heads is not None or (has_sub_norm and not model.use_key_bias)


def has_separate_gate(model: Any) -> bool:
    """Tell whether the module keeps gate and value of such a model's MLP as two layers."""
    is_dinov3 = model.rope_type == "dinov3" and model.num_key_value_heads is None
    has_sub_norm = model.use_sub_norm or model.use_mlp_sub_norm
    return model.mlp_type == "gated" and (is_dinov3 or has_sub_norm)
