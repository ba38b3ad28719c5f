"""Rule tables: how timm, DINO, DINOv2, DeiT and CaiT checkpoints name their tensors."""

from kerasvit.conversion.rules import CONV, LINEAR, Kind, Layout, Rule


def _linear(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{source}.weight", f"{target}/kernel", LINEAR),
        Rule(f"{source}.bias", f"{target}/bias"),
    )


def _norm(source: str, target: str) -> tuple[Rule, Rule]:
    return Rule(f"{source}.weight", f"{target}/gamma"), Rule(f"{source}.bias", f"{target}/beta")


# DINOv2 with registers adds the class token's position to the class token in every forward pass.
_CLASS_WITH_POSITION = Kind(
    forward=lambda token, positions: token + positions[:, :1],
    shape=lambda token, positions: (*token[:2], positions[2]),
)
_PATCH_POSITIONS = Kind(
    forward=lambda positions: positions[:, 1:],
    shape=lambda positions: (positions[0], positions[1] - 1, positions[2]),
)

_EMBEDDING = (
    Rule("patch_embed.proj.weight", "patch_embedding/projection/kernel", CONV),
    Rule("patch_embed.proj.bias", "patch_embedding/projection/bias"),
    Rule("cls_token", "class_token/tokens"),
    Rule("pos_embed", "position_embedding/embedding"),
)
_HEAD = (*_norm("norm", "norm"), *_linear("head", "head"))

_BLOCK = "sa_ffn_block_{i:02d}"
_ENCODER_BLOCK = (
    *_norm("blocks.{i}.norm1", f"{_BLOCK}/attention_norm"),
    *_linear("blocks.{i}.attn.qkv", f"{_BLOCK}/attention/qkv"),
    *_linear("blocks.{i}.attn.proj", f"{_BLOCK}/attention/projection"),
    *_norm("blocks.{i}.attn.q_norm", f"{_BLOCK}/attention/query_norm"),
    *_norm("blocks.{i}.attn.k_norm", f"{_BLOCK}/attention/key_norm"),
    *_norm("blocks.{i}.norm2", f"{_BLOCK}/mlp_norm"),
    *_linear("blocks.{i}.mlp.fc1", f"{_BLOCK}/mlp/dense_1"),
    *_linear("blocks.{i}.mlp.fc2", f"{_BLOCK}/mlp/dense_2"),
)


def _layer_scale(attention: str, mlp: str, block: str = _BLOCK) -> tuple[Rule, Rule]:
    return (
        Rule(attention, f"{block}/attention_scale/gamma"),
        Rule(mlp, f"{block}/mlp_scale/gamma"),
    )


_VIT = (
    *_EMBEDDING,
    Rule("reg_token", "registers/tokens"),
    Rule("dist_token", "distillation_token/tokens"),
    *_norm("norm_pre", "pre_norm"),
    *_ENCODER_BLOCK,
    *_layer_scale("blocks.{i}.ls1.gamma", "blocks.{i}.ls2.gamma"),
    *_HEAD,
    *_linear("head_dist", "distillation_head"),
)

TIMM_VIT = Layout("timm", _VIT)

# timm names the last norm after where it acts.
TIMM_VIT_NORM_AFTER_POOLING = Layout("timm", (*_VIT, *_norm("fc_norm", "norm")))

DEIT3 = Layout("deit3", (*_VIT, *_layer_scale("blocks.{i}.gamma_1", "blocks.{i}.gamma_2")))

_DINOV2 = (
    *_VIT,
    *_linear("blocks.{i}.mlp.w12", f"{_BLOCK}/mlp/dense_1"),
    *_linear("blocks.{i}.mlp.w3", f"{_BLOCK}/mlp/dense_2"),
)
_MASK_TOKEN = {"mask_token": "the mask token of DINOv2's training, never used for inference"}

DINOV2_MLP = Layout("dinov2", _VIT, _MASK_TOKEN)
DINOV2_GATED = Layout("dinov2", _DINOV2, _MASK_TOKEN)

_REGISTERS = (
    Rule("register_tokens", "registers/tokens"),
    Rule(("cls_token", "pos_embed"), "class_token/tokens", _CLASS_WITH_POSITION),
    Rule("pos_embed", "position_embedding/embedding", _PATCH_POSITIONS),
)
DINOV2_REGISTERS_MLP = Layout("dinov2", (*_VIT, *_REGISTERS), _MASK_TOKEN)
DINOV2_REGISTERS_GATED = Layout("dinov2", (*_DINOV2, *_REGISTERS), _MASK_TOKEN)

_CLASS_BLOCK = "ca_ffn_block_{i:02d}"
TIMM_CAIT = Layout(
    "cait",
    (
        *_EMBEDDING,
        *_ENCODER_BLOCK,
        *_linear("blocks.{i}.attn.proj_l", f"{_BLOCK}/attention/mixing_before"),
        *_linear("blocks.{i}.attn.proj_w", f"{_BLOCK}/attention/mixing_after"),
        *_layer_scale("blocks.{i}.gamma_1", "blocks.{i}.gamma_2"),
        *_norm("blocks_token_only.{i}.norm1", f"{_CLASS_BLOCK}/attention_norm"),
        *_linear("blocks_token_only.{i}.attn.q", f"{_CLASS_BLOCK}/attention/query"),
        *_linear("blocks_token_only.{i}.attn.k", f"{_CLASS_BLOCK}/attention/key"),
        *_linear("blocks_token_only.{i}.attn.v", f"{_CLASS_BLOCK}/attention/value"),
        *_linear("blocks_token_only.{i}.attn.proj", f"{_CLASS_BLOCK}/attention/projection"),
        *_norm("blocks_token_only.{i}.norm2", f"{_CLASS_BLOCK}/mlp_norm"),
        *_linear("blocks_token_only.{i}.mlp.fc1", f"{_CLASS_BLOCK}/mlp/dense_1"),
        *_linear("blocks_token_only.{i}.mlp.fc2", f"{_CLASS_BLOCK}/mlp/dense_2"),
        *_layer_scale(
            "blocks_token_only.{i}.gamma_1", "blocks_token_only.{i}.gamma_2", _CLASS_BLOCK
        ),
        *_HEAD,
    ),
)
