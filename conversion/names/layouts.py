"""Rule tables: how timm, DINO, DINOv2, DeiT and CaiT checkpoints name their tensors."""

from collections.abc import Collection

import numpy as np

from kerasvit.conversion.names.eva_rules import (
    RELATIVE_BIASES,
    SEPARATE_BIASES,
    SEPARATE_PROJECTIONS,
    has_eva_names,
    separate_projection_biases,
)
from kerasvit.conversion.names.rules import CONV, LINEAR, Kind, Layout, Rule


def _linear(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{source}.weight", f"{target}/kernel", LINEAR),
        Rule(f"{source}.bias", f"{target}/bias"),
    )


def _norm(source: str, target: str) -> tuple[Rule, ...]:
    """Return the rules of a layer norm's gamma and beta and of an RMS norm's scale."""
    return (
        Rule(f"{source}.weight", f"{target}/gamma"),
        Rule(f"{source}.bias", f"{target}/beta"),
        Rule(f"{source}.weight", f"{target}/scale"),
    )


def _attention(source: str, target: str) -> tuple[Rule, ...]:
    return (
        *_linear(f"{source}.qkv", f"{target}/qkv"),
        *_linear(f"{source}.proj", f"{target}/projection"),
        *_norm(f"{source}.q_norm", f"{target}/query_norm"),
        *_norm(f"{source}.k_norm", f"{target}/key_norm"),
        *_norm(f"{source}.norm", f"{target}/sub_norm"),
        *_differential(source, target),
    )


def _differential(source: str, target: str) -> tuple[Rule, ...]:
    return (
        Rule(f"{source}.lambda_q1", f"{target}/lambda_query_1"),
        Rule(f"{source}.lambda_k1", f"{target}/lambda_key_1"),
        Rule(f"{source}.lambda_q2", f"{target}/lambda_query_2"),
        Rule(f"{source}.lambda_k2", f"{target}/lambda_key_2"),
        Rule(f"{source}.sub_norm.weight", f"{target}/head_norm/scale"),
    )


def _mlp(source: str, target: str) -> tuple[Rule, ...]:
    return (
        *_linear(f"{source}.fc1", f"{target}/dense_1"),
        *_linear(f"{source}.fc2", f"{target}/dense_2"),
        *_norm(f"{source}.norm", f"{target}/sub_norm"),
    )


def _layer_scale(attention: str, mlp: str, block: str) -> tuple[Rule, Rule]:
    return (
        Rule(attention, f"{block}/attention_scale/gamma"),
        Rule(mlp, f"{block}/mlp_scale/gamma"),
    )


_BLOCK = "sa_ffn_block_{i:02d}"

_EMBEDDING = (
    Rule("patch_embed.proj.weight", "patch_embedding/projection/kernel", CONV),
    Rule("patch_embed.proj.bias", "patch_embedding/projection/bias"),
    *_norm("patch_embed.norm", "patch_norm"),
    Rule("cls_token", "class_token/tokens"),
    Rule("dist_token", "distillation_token/tokens"),
    Rule("reg_token", "registers/tokens"),
    Rule("pos_embed", "position_embedding/embedding"),
    *_norm("norm_pre", "pre_norm"),
    Rule("rope.freqs", "rotary/frequencies"),
)
_HEAD = (
    *_norm("norm", "norm"),
    *_linear("head", "head"),
    *_linear("head_dist", "distillation_head"),
)
_ENCODER_BLOCK = (
    *_norm("blocks.{i}.norm1", f"{_BLOCK}/attention_norm"),
    *_attention("blocks.{i}.attn", f"{_BLOCK}/attention"),
    *_norm("blocks.{i}.norm2", f"{_BLOCK}/mlp_norm"),
    *_mlp("blocks.{i}.mlp", f"{_BLOCK}/mlp"),
)
_ATTENTION_POOLING = (
    Rule("attn_pool.latent", "ca_pooling_block_00/latent"),
    *_linear("attn_pool.q", "ca_pooling_block_00/query"),
    *_linear("attn_pool.kv", "ca_pooling_block_00/key_value"),
    *_linear("attn_pool.proj", "ca_pooling_block_00/projection"),
    *_norm("attn_pool.norm", "ca_pooling_block_00/mlp_norm"),
    *_mlp("attn_pool.mlp", "ca_pooling_block_00/mlp"),
)
_VIT = (
    *_EMBEDDING,
    *_ENCODER_BLOCK,
    *_layer_scale("blocks.{i}.ls1.gamma", "blocks.{i}.ls2.gamma", _BLOCK),
    *_ATTENTION_POOLING,
    *_HEAD,
)


def _branch(index: int) -> tuple[Rule, ...]:
    attention, mlp = f"blocks.{{i}}.attns.{index}", f"blocks.{{i}}.ffns.{index}"
    return (
        *_norm(f"{attention}.norm", f"{_BLOCK}/attention_norm_{index}"),
        *_attention(f"{attention}.attn", f"{_BLOCK}/attention_{index}"),
        Rule(f"{attention}.ls.gamma", f"{_BLOCK}/attention_scale_{index}/gamma"),
        *_norm(f"{mlp}.norm", f"{_BLOCK}/mlp_norm_{index}"),
        *_mlp(f"{mlp}.mlp", f"{_BLOCK}/mlp_{index}"),
        Rule(f"{mlp}.ls.gamma", f"{_BLOCK}/mlp_scale_{index}/gamma"),
    )


_BRANCHED_BLOCK = (*_branch(0), *_branch(1))

# A parallel block projects to the MLP's hidden units, queries, keys and values at once, in this
# order. The norm before it tells how wide a token is.
_IN_MLP = Kind(
    forward=lambda weight: weight[: -3 * weight.shape[1]].T,
    shape=lambda weight: (weight[1], weight[0] - 3 * weight[1]),
    backward=lambda kernel: kernel.T,
)
_IN_QKV = Kind(
    forward=lambda weight: weight[-3 * weight.shape[1] :].T,
    shape=lambda weight: (weight[1], 3 * weight[1]),
    backward=lambda kernel: kernel.T,
)
_IN_MLP_BIAS = Kind(
    forward=lambda bias, norm: bias[: -3 * len(norm)],
    shape=lambda bias, norm: (bias[0] - 3 * norm[0],),
    backward=lambda bias: (bias, None),
)
_IN_QKV_BIAS = Kind(
    forward=lambda bias, norm: bias[-3 * len(norm) :],
    shape=lambda bias, norm: (3 * norm[0],),
    backward=lambda bias: (bias, None),
)
_OUT_ATTENTION = Kind(
    forward=lambda weight: weight[:, : weight.shape[0]].T,
    shape=lambda weight: (weight[0], weight[0]),
    backward=lambda kernel: kernel.T,
    axis=1,
)
_OUT_MLP = Kind(
    forward=lambda weight: weight[:, weight.shape[0] :].T,
    shape=lambda weight: (weight[1] - weight[0], weight[0]),
    backward=lambda kernel: kernel.T,
    axis=1,
)

_PARALLEL_BLOCK = (
    *_norm("blocks.{i}.in_norm", f"{_BLOCK}/attention_norm"),
    Rule("blocks.{i}.in_proj.weight", f"{_BLOCK}/mlp/dense_1/kernel", _IN_MLP),
    Rule("blocks.{i}.in_proj.weight", f"{_BLOCK}/attention/qkv/kernel", _IN_QKV),
    Rule("blocks.{i}.mlp_bias", f"{_BLOCK}/mlp/dense_1/bias"),
    *_norm("blocks.{i}.q_norm", f"{_BLOCK}/attention/query_norm"),
    *_norm("blocks.{i}.k_norm", f"{_BLOCK}/attention/key_norm"),
    *_linear("blocks.{i}.attn_out_proj", f"{_BLOCK}/attention/projection"),
    *_linear("blocks.{i}.mlp_out_proj", f"{_BLOCK}/mlp/dense_2"),
    *_differential("blocks.{i}", f"{_BLOCK}/attention"),
    Rule("blocks.{i}.ls.gamma", f"{_BLOCK}/attention_scale/gamma"),
)
_PARALLEL_BIAS = (
    Rule(
        ("blocks.{i}.in_proj.bias", "blocks.{i}.in_norm.weight"),
        f"{_BLOCK}/mlp/dense_1/bias",
        _IN_MLP_BIAS,
    ),
    Rule(
        ("blocks.{i}.in_proj.bias", "blocks.{i}.in_norm.weight"),
        f"{_BLOCK}/attention/qkv/bias",
        _IN_QKV_BIAS,
    ),
)
_PARALLEL_JOINT_OUTPUT = (
    Rule("blocks.{i}.out_proj.weight", f"{_BLOCK}/attention/projection/kernel", _OUT_ATTENTION),
    Rule("blocks.{i}.out_proj.bias", f"{_BLOCK}/attention/projection/bias"),
    Rule("blocks.{i}.out_proj.weight", f"{_BLOCK}/mlp/dense_2/kernel", _OUT_MLP),
)

# A gated MLP whose gate and value are two layers, as in AIMv2.
_CONCATENATED = Kind(
    forward=lambda *parts: np.concatenate(parts).T,
    shape=lambda gate, value: (gate[1], gate[0] + value[0]),
    backward=lambda kernel: tuple(np.split(kernel.T, 2)),
)
_CONCATENATED_BIAS = Kind(
    forward=lambda *parts: np.concatenate(parts),
    shape=lambda gate, value: (gate[0] + value[0],),
    backward=lambda bias: tuple(np.split(bias, 2)),
)
_SEPARATE_GATE = (
    Rule(
        ("blocks.{i}.mlp.fc1_g.weight", "blocks.{i}.mlp.fc1_x.weight"),
        f"{_BLOCK}/mlp/dense_1/kernel",
        _CONCATENATED,
    ),
    Rule(
        ("blocks.{i}.mlp.fc1_g.bias", "blocks.{i}.mlp.fc1_x.bias"),
        f"{_BLOCK}/mlp/dense_1/bias",
        _CONCATENATED_BIAS,
    ),
)

_DINOV2_GATE = (
    *_linear("blocks.{i}.mlp.w12", f"{_BLOCK}/mlp/dense_1"),
    *_linear("blocks.{i}.mlp.w3", f"{_BLOCK}/mlp/dense_2"),
)
# DINOv2 with registers adds the class token's position to the class token in every forward pass.
_CLASS_WITH_POSITION = Kind(
    forward=lambda token, positions: token + positions[:, :1],
    shape=lambda token, positions: (*token[:2], positions[2]),
    backward=lambda token: (token, np.zeros_like(token)),
    axis=1,
)
_PATCH_POSITIONS = Kind(
    forward=lambda positions: positions[:, 1:],
    shape=lambda positions: (positions[0], positions[1] - 1, positions[2]),
    backward=lambda positions: positions,
    axis=1,
)
_DINOV2_REGISTERS = (
    Rule("register_tokens", "registers/tokens"),
    Rule(("cls_token", "pos_embed"), "class_token/tokens", _CLASS_WITH_POSITION),
    Rule("pos_embed", "position_embedding/embedding", _PATCH_POSITIONS),
)

# What a tensor's presence says about the others: rules that replace those of the same targets.
_VARIATIONS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("fc_norm.weight", _norm("fc_norm", "norm")),
    (
        "blocks.0.gamma_1",
        _layer_scale("blocks.{i}.gamma_1", "blocks.{i}.gamma_2", _BLOCK),
    ),
    ("blocks.0.attns.0.norm.weight", _BRANCHED_BLOCK),
    ("blocks.0.in_proj.weight", _PARALLEL_BLOCK),
    ("blocks.0.in_proj.bias", _PARALLEL_BIAS),
    ("blocks.0.out_proj.weight", _PARALLEL_JOINT_OUTPUT),
    ("blocks.0.mlp.fc1_g.weight", _SEPARATE_GATE),
    ("blocks.0.mlp.w12.weight", _DINOV2_GATE),
    ("register_tokens", _DINOV2_REGISTERS),
    ("blocks.0.attn.q_bias", (*SEPARATE_BIASES, *RELATIVE_BIASES)),
    ("blocks.0.attn.q_proj.weight", SEPARATE_PROJECTIONS),
    ("blocks.0.attn.k_proj.bias", separate_projection_biases()),
)
_IGNORED = {
    "mask_token": "the mask token of DINOv2's training, never used for inference",
    "blocks.*.attn.relative_position_index": "places in the table of biases, which are computed",
}


def vit_layout(names: Collection[str]) -> Layout:
    """Return the rules of a ViT's checkpoint.

    Args:
        names: of all its tensors.
    """
    names = set(names)
    rules = [rule for marker, added in _VARIATIONS if marker in names for rule in added]
    return Layout(_layout_name(names), (*_VIT, *rules), _IGNORED)


def _layout_name(names: set[str]) -> str:
    if names & {"register_tokens", "mask_token", "blocks.0.mlp.w12.weight"}:
        return "dinov2"
    if has_eva_names(names):
        return "beit" if RELATIVE_BIASES[0].sources[0].format(i=0) in names else "eva"
    return "deit3" if "blocks.0.gamma_1" in names else "timm"


_CLASS_BLOCK = "ca_ffn_block_{i:02d}"
TIMM_CAIT = Layout(
    "cait",
    (
        *_EMBEDDING,
        *_ENCODER_BLOCK,
        *_linear("blocks.{i}.attn.proj_l", f"{_BLOCK}/attention/mixing_before"),
        *_linear("blocks.{i}.attn.proj_w", f"{_BLOCK}/attention/mixing_after"),
        *_layer_scale("blocks.{i}.gamma_1", "blocks.{i}.gamma_2", _BLOCK),
        *_norm("blocks_token_only.{i}.norm1", f"{_CLASS_BLOCK}/attention_norm"),
        *_linear("blocks_token_only.{i}.attn.q", f"{_CLASS_BLOCK}/attention/query"),
        *_linear("blocks_token_only.{i}.attn.k", f"{_CLASS_BLOCK}/attention/key"),
        *_linear("blocks_token_only.{i}.attn.v", f"{_CLASS_BLOCK}/attention/value"),
        *_linear("blocks_token_only.{i}.attn.proj", f"{_CLASS_BLOCK}/attention/projection"),
        *_norm("blocks_token_only.{i}.norm2", f"{_CLASS_BLOCK}/mlp_norm"),
        *_mlp("blocks_token_only.{i}.mlp", f"{_CLASS_BLOCK}/mlp"),
        *_layer_scale(
            "blocks_token_only.{i}.gamma_1", "blocks_token_only.{i}.gamma_2", _CLASS_BLOCK
        ),
        *_HEAD,
    ),
)
