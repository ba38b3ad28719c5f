"""What the tensors of a checkpoint's first block say about all its blocks."""

from typing import Any

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.errors import InputError

# The joint projection, the output projection, the last layer of the MLP and the first norm, by the
# kind of block.
_PLACES = {
    "encoder": ("attn.qkv", "attn.proj", "mlp.fc2", "norm1"),
    "parallel": ("in_proj", "attn_out_proj", "mlp_out_proj", "in_norm"),
    "branched": ("attns.0.attn.qkv", "attns.0.attn.proj", "ffns.0.mlp.fc2", "attns.0.norm"),
}
_SCALES = ("ls1.gamma", "gamma_1", "ls.gamma", "attns.0.ls.gamma")


def read_block(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the arguments of a `VisionTransformer` that its first block decides.

    Raises:
        InputError: if the block has no MLP.
    """
    own = {
        name.removeprefix("blocks.0.") for name in checkpoint.names if name.startswith("blocks.0.")
    }
    kind = _kind(own)
    joint, output, _, norm = _PLACES[kind]
    prefix = "attns.0.attn." if kind == "branched" else ("attn." if kind == "encoder" else "")
    is_joint = "out_proj.weight" in own
    return {
        "block_type": kind,
        "mlp_dim": _mlp_dim(checkpoint, own, kind),
        "mlp_type": _mlp_type(checkpoint, own),
        **_biases(own, joint),
        **_grouped_heads(checkpoint),
        "use_projection_bias": f"{output}.bias" in own or (is_joint and "out_proj.bias" in own),
        "use_relative_position_bias": "attn.relative_position_bias_table" in own,
        "use_qk_norm": f"{prefix}q_norm.weight" in own,
        "use_sub_norm": "attn.norm.weight" in own,
        "use_mlp_sub_norm": "mlp.norm.weight" in own and "attn.norm.weight" not in own,
        "use_mlp_layer_scale": "gamma_1" not in own or "gamma_2" in own,
        "norm_type": "layer" if f"{norm}.bias" in own else "rms",
        "attention_type": "differential" if f"{prefix}lambda_q1" in own else "self",
    }


def has_layer_scale(checkpoint: Checkpoint) -> bool:
    """Tell whether the first block has LayerScale's factors."""
    return bool(set(checkpoint.names) & {f"blocks.0.{name}" for name in _SCALES})


def _biases(own: set[str], joint: str) -> dict[str, bool]:
    without_key = bool(own & {"attn.q_bias", "attn.q_proj.bias"}) and "attn.k_proj.bias" not in own
    has_any = without_key or bool(own & {f"{joint}.bias", "attn.q_proj.bias"})
    return {"use_qkv_bias": has_any, "use_key_bias": not without_key}


def _grouped_heads(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the heads of keys and values, where some blocks have fewer than of queries.

    Only the norm of a head tells how wide one is.
    """
    names = set(checkpoint.names)
    widths: list[int] = []
    while (name := f"blocks.{len(widths)}.attn.k_proj.weight") in names:
        widths.append(checkpoint.shape(name)[0])
    norm = "blocks.0.attn.q_norm.weight"
    if not widths or norm not in names or min(widths) == max(widths):
        return {}
    head = checkpoint.shape(norm)[0]
    return {
        "num_key_value_heads": min(widths) // head,
        "full_head_blocks": next(i for i, width in enumerate(widths) if width == min(widths)),
    }


def _kind(own: set[str]) -> str:
    if "in_proj.weight" in own:
        return "parallel"
    return "branched" if "attns.0.norm.weight" in own else "encoder"


def _mlp_dim(checkpoint, own, kind) -> int:
    for place in (_PLACES[kind][2], "mlp.w3"):
        if f"{place}.weight" in own:
            return checkpoint.shape(f"blocks.0.{place}.weight")[-1]
    if "out_proj.weight" in own:
        width, both = checkpoint.shape("blocks.0.out_proj.weight")
        return both - width
    raise InputError(
        f"{checkpoint.label} has no MLP in its first block: blocks.0.{_PLACES[kind][2]}.weight "
        "must be there. Received: neither it nor blocks.0.mlp.w3.weight. Save the whole state dict"
    )


def _mlp_type(checkpoint, own) -> str:
    if own & {"mlp.w12.weight", "mlp.fc1_g.weight"}:
        return "gated"
    if not {"mlp.fc1.weight", "mlp.fc2.weight"} <= own:
        return "mlp"
    hidden = checkpoint.shape("blocks.0.mlp.fc1.weight")[0]
    return "gated" if hidden == 2 * checkpoint.shape("blocks.0.mlp.fc2.weight")[-1] else "mlp"
