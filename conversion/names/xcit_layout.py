"""Rule tables of XCiT: how timm names its tensors, and how its authors do."""

import dataclasses

from kerasvit.conversion.names.layouts import _linear, _mlp, _norm
from kerasvit.conversion.names.rules import CONV, LINEAR, SAME, Kind, Layout, Rule
from kerasvit.conversion.names.transforms import DEPTHWISE, thirds

COUNTERS = "*.num_batches_tracked"

_BLOCK = "xca_ffn_block_{i:02d}"
_CLASS_BLOCK = "ca_ffn_block_{i:02d}"
# A convolution of 1x1 pixels keeps (out, in, 1, 1), our dense layer (in, out).
_POINTWISE = Kind(
    forward=lambda kernel: kernel[:, :, 0, 0].T,
    shape=lambda shape: (shape[1], shape[0]) if shape[2:] == (1, 1) else (),
    backward=lambda kernel: kernel.T[:, :, None, None],
)
# Of a stem for the largest patches, 32 pixels.
_MOST_CONVOLUTIONS = 5


def _batch_norm(source: str, target: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(f"{source}.{theirs}", f"{target}/{ours}", SAME)
        for theirs, ours in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        )
    )


def _depthwise(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{source}.weight", f"{target}/kernel", DEPTHWISE),
        Rule(f"{source}.bias", f"{target}/bias"),
    )


def _stem(index: int) -> tuple[Rule, ...]:
    # Between two convolutions with their norms stands an activation.
    source, target = f"patch_embed.proj.{2 * index}", "patch_embedding"
    return (
        Rule(f"{source}.0.weight", f"{target}/convolution_{index}/kernel", CONV),
        *_batch_norm(f"{source}.1", f"{target}/norm_{index}"),
    )


TIMM_XCIT = Layout(
    "xcit",
    (
        *(rule for index in range(_MOST_CONVOLUTIONS) for rule in _stem(index)),
        Rule(
            "pos_embed.token_projection.weight", "position_encoding/projection/kernel", _POINTWISE
        ),
        Rule("pos_embed.token_projection.bias", "position_encoding/projection/bias"),
        Rule("cls_token", "class_token/tokens"),
        *_norm("blocks.{i}.norm1", f"{_BLOCK}/attention_norm"),
        Rule("blocks.{i}.attn.temperature", f"{_BLOCK}/attention/temperature"),
        *_linear("blocks.{i}.attn.qkv", f"{_BLOCK}/attention/qkv"),
        *_linear("blocks.{i}.attn.proj", f"{_BLOCK}/attention/projection"),
        *_norm("blocks.{i}.norm3", f"{_BLOCK}/local_norm"),
        *_depthwise("blocks.{i}.local_mp.conv1", f"{_BLOCK}/local_interaction/convolution_1"),
        *_batch_norm("blocks.{i}.local_mp.bn", f"{_BLOCK}/local_interaction/norm"),
        *_depthwise("blocks.{i}.local_mp.conv2", f"{_BLOCK}/local_interaction/convolution_2"),
        *_norm("blocks.{i}.norm2", f"{_BLOCK}/mlp_norm"),
        *_mlp("blocks.{i}.mlp", f"{_BLOCK}/mlp"),
        Rule("blocks.{i}.gamma1", f"{_BLOCK}/attention_scale/gamma"),
        Rule("blocks.{i}.gamma3", f"{_BLOCK}/local_scale/gamma"),
        Rule("blocks.{i}.gamma2", f"{_BLOCK}/mlp_scale/gamma"),
        *_norm("cls_attn_blocks.{i}.norm1", f"{_CLASS_BLOCK}/attention_norm"),
        *_linear("cls_attn_blocks.{i}.attn.q", f"{_CLASS_BLOCK}/attention/query"),
        *_linear("cls_attn_blocks.{i}.attn.k", f"{_CLASS_BLOCK}/attention/key"),
        *_linear("cls_attn_blocks.{i}.attn.v", f"{_CLASS_BLOCK}/attention/value"),
        *_linear("cls_attn_blocks.{i}.attn.proj", f"{_CLASS_BLOCK}/attention/projection"),
        *_norm("cls_attn_blocks.{i}.norm2", f"{_CLASS_BLOCK}/mlp_norm"),
        *_mlp("cls_attn_blocks.{i}.mlp", f"{_CLASS_BLOCK}/mlp"),
        Rule("cls_attn_blocks.{i}.gamma1", f"{_CLASS_BLOCK}/attention_scale/gamma"),
        Rule("cls_attn_blocks.{i}.gamma2", f"{_CLASS_BLOCK}/mlp_scale/gamma"),
        *_norm("norm", "norm"),
        *_linear("head", "head"),
    ),
    {COUNTERS: "how many batches a batch norm has seen, which its statistics do not need"},
)


def _joint(index: int, name: str) -> tuple[Rule, Rule]:
    source, target = "cls_attn_blocks.{i}.attn.qkv", f"{_CLASS_BLOCK}/attention/{name}"
    return (
        Rule(f"{source}.weight", f"{target}/kernel", thirds(index, index + 1, LINEAR)),
        Rule(f"{source}.bias", f"{target}/bias", thirds(index, index + 1)),
    )


# Its authors' names, and those of DINO's files: later rules replace timm's.
ORIGINAL_XCIT = dataclasses.replace(
    TIMM_XCIT,
    name="xcit_original",
    rules=(
        *TIMM_XCIT.rules,
        Rule(
            "pos_embeder.token_projection.weight", "position_encoding/projection/kernel", _POINTWISE
        ),
        Rule("pos_embeder.token_projection.bias", "position_encoding/projection/bias"),
        *(
            rule
            for index, name in enumerate(("query", "key", "value"))
            for rule in _joint(index, name)
        ),
    ),
)
