"""The layers that a VisionTransformer is made of, by its arguments."""

from typing import Any

from kerasvit.layers import (
    AttentionPooling,
    BranchedBlock,
    EncoderBlock,
    LearnedTokens,
    ParallelBlock,
    PatchEmbedding,
    PositionEmbedding,
    PostNormBlock,
    RotaryEmbedding,
)
from kerasvit.layers.attention.differential import initial_lambda
from kerasvit.layers.base import head_dim, kernel_initializer
from kerasvit.layers.patch_grid import patch_grid
from kerasvit.layers.primitives.dense import Dense
from kerasvit.layers.primitives.dropout import Dropout
from kerasvit.layers.primitives.norms import make_norm

BLOCKS = {
    "encoder": EncoderBlock,
    "post_norm": PostNormBlock,
    "parallel": ParallelBlock,
    "branched": BranchedBlock,
}


def make_layers(model: Any, prefix: tuple[str, ...]) -> dict[str, Any]:
    """Return the layers of a `VisionTransformer`, by the names of its attributes.

    Args:
        model: has the constructor's arguments as attributes.
        prefix: names of the tokens before the patches.
    """
    layers = {
        **_embedding(model, prefix),
        "blocks": [_block(model, index) for index in range(model.num_layers)],
    }
    if model.use_final_norm:
        layers["norm"] = _norm(model, "norm")
    layers |= _optional(model)
    if model.pooling == "attention":
        layers["class_blocks"] = [_pooling(model)]
    if model.num_classes:
        layers["head"] = _head(model, "head")
        if model.use_distillation_token:
            layers["distillation_head"] = _head(model, "distillation_head")
    return layers


def _embedding(model, prefix):
    dtype = model.dtype_policy
    patch_embedding = PatchEmbedding(
        model.hidden_dim,
        model.patch_size,
        use_bias=not model.use_pre_norm,
        ignore_remainder=model.ignore_remainder,
        name="patch_embedding",
        dtype=dtype,
    )
    layers = {"patch_embedding": patch_embedding}
    if model.use_class_token:
        layers["class_token"] = LearnedTokens(1, name="class_token", dtype=dtype)
    if model.has_position_table:
        layers["position"] = PositionEmbedding(
            patch_embedding.grid(*model.image_shape[:2]),
            len(prefix) if model.position_embedding == "all" else 0,
            model.position_resampling,
            name="position_embedding",
            dtype=dtype,
        )
    if model.rope_type is not None:
        layers["rotary"] = _rotary(model)
    layers["position_dropout"] = Dropout(model.dropout_rate, name="position_dropout", dtype=dtype)
    return layers


def _rotary(model) -> RotaryEmbedding:
    return RotaryEmbedding(
        model.rope_type,
        head_dim(model.hidden_dim, model.num_heads),
        model.rope_temperature,
        model.rope_reference_grid,
        model.rope_offset,
        model.rope_periods,
        model.num_layers,
        model.num_heads,
        name="rotary",
        dtype=model.dtype_policy,
    )


def _optional(model):
    counts = {
        "distillation_token": int(model.use_distillation_token),
        "registers": model.num_registers,
    }
    layers = {
        name: LearnedTokens(count, name=name, dtype=model.dtype_policy)
        for name, count in counts.items()
        if count
    }
    for name in ("pre_norm", "patch_norm"):
        if getattr(model, f"use_{name}"):
            layers[name] = _norm(model, name)
    return layers


def _block(model, index: int) -> EncoderBlock:
    is_differential = model.attention_type == "differential"
    return BLOCKS[model.block_type](
        num_heads=model.num_heads,
        mlp_dim=model.mlp_dim,
        use_qkv_bias=model.use_qkv_bias,
        use_key_bias=model.use_key_bias,
        num_key_value_heads=_key_value_heads(model, index),
        use_qk_norm=model.use_qk_norm,
        use_projection_bias=model.use_projection_bias,
        use_sub_norm=model.use_sub_norm,
        use_mlp_sub_norm=model.use_mlp_sub_norm,
        relative_grid=_relative_grid(model),
        initial_lambda=initial_lambda(index) if is_differential else None,
        mlp_type=model.mlp_type,
        activation=model.activation,
        norm_type=model.norm_type,
        layer_scale_init_value=model.layer_scale_init_value,
        use_mlp_layer_scale=model.use_mlp_layer_scale,
        layer_norm_epsilon=model.layer_norm_epsilon,
        dropout_rate=model.dropout_rate,
        attention_dropout_rate=model.attention_dropout_rate,
        drop_path_rate=model.drop_path_rate * index / max(model.num_layers - 1, 1),
        name=f"sa_ffn_block_{index:02d}",
        dtype=model.dtype_policy,
    )


def _relative_grid(model) -> tuple[int, int] | None:
    """Return the grid that relative biases are stored for, where there are any."""
    if not model.use_relative_position_bias:
        return None
    height, width, _ = model.image_shape
    return patch_grid(height, width, model.patch_size, model.ignore_remainder)


def _key_value_heads(model, index: int) -> int | None:
    ends = model.full_head_blocks
    is_full = index < ends or index >= model.num_layers - ends
    return None if is_full else model.num_key_value_heads


def _pooling(model) -> AttentionPooling:
    return AttentionPooling(
        num_heads=model.pooling_heads or model.num_heads,
        mlp_dim=model.pooling_mlp_dim or model.mlp_dim,
        activation=model.activation,
        norm_type=model.norm_type,
        layer_norm_epsilon=model.layer_norm_epsilon,
        name="ca_pooling_block_00",
        dtype=model.dtype_policy,
    )


def _norm(model, name):
    return make_norm(model.norm_type, model.layer_norm_epsilon, name, model.dtype_policy)


def _head(model, name):
    return Dense(
        model.num_classes,
        kernel_initializer=kernel_initializer(),
        name=name,
        dtype=model.dtype_policy,
    )
