"""The rules that a VisionTransformer's arguments must keep."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasvit.layers.base import head_dim, require, require_at_least
from kerasvit.layers.rotary.rules import RULES as ROTARY_RULES
from kerasvit.layers.rotary.rules import check_periods
from kerasvit.models.vit.readout import POOLINGS

POSITIONS = ("all", "patches", "none")
DISTILLATION_OUTPUTS = ("average", "both")
ATTENTIONS = ("self", "differential")


def check_arguments(arguments: Mapping[str, Any], block_types: Iterable[str]) -> None:
    """Raise `ValueError` unless every argument is in its range and fits the others."""
    choices = {
        "pooling": POOLINGS,
        "position_embedding": POSITIONS,
        "distillation_output": DISTILLATION_OUTPUTS,
        "block_type": tuple(block_types),
        "attention_type": ATTENTIONS,
    }
    for name, allowed in choices.items():
        value = arguments[name]
        require(value in allowed, f"{name} must be one of {allowed}. Received: {name}={value!r}")
    require_at_least(0, num_registers=arguments["num_registers"])
    require_at_least(1, head_blocks=arguments["head_blocks"])
    require_at_least(0, full_head_blocks=arguments["full_head_blocks"])
    for name in ("pooling_heads", "pooling_mlp_dim", "num_key_value_heads"):
        if arguments[name] is not None:
            require_at_least(1, **{name: arguments[name]})
    _check_rotary(**_chosen(arguments, _check_rotary))
    _check_shared_keys(**_chosen(arguments, _check_shared_keys))
    _check_relative(**_chosen(arguments, _check_relative))
    _check_blocks(**_chosen(arguments, _check_blocks))
    _check_distillation(**_chosen(arguments, _check_distillation))
    _check_class_token(**_chosen(arguments, _check_class_token))
    _check_head(**_chosen(arguments, _check_head))


def check_stage(stage: str, pooling: str) -> None:
    """Raise `ValueError` unless a model of this pooling has scores of the stage."""
    require(
        stage == "sa" or (stage == "ca" and pooling == "attention"),
        "A ViT has self-attention scores, and class attention in attention pooling alone: "
        f'stage="sa". Received: stage={stage!r}, pooling={pooling!r}',
    )


def _chosen(arguments, check) -> dict[str, Any]:
    return {name: arguments[name] for name in check.__annotations__ if name in arguments}


def _check_rotary(
    rope_type: str | None,
    rope_temperature: float | None,
    rope_reference_grid: tuple[int, int] | None,
    rope_offset: float,
    rope_periods: str | list[float],
    attention_type: str,
    hidden_dim: int,
    num_heads: int,
):
    others = {
        "rope_temperature": rope_temperature is not None,
        "rope_reference_grid": rope_reference_grid is not None,
        "rope_offset": rope_offset != 0,
        "rope_periods": rope_periods != "float32",
    }
    given = [name for name, is_given in others.items() if is_given]
    require(
        rope_type is not None or not given,
        f"Positions are not rotary without a rope_type. Received: {', '.join(given)}. Say "
        f"rope_type, one of {tuple(ROTARY_RULES)}",
    )
    if rope_type is None:
        return
    require(
        rope_type in ROTARY_RULES,
        f"rope_type must be one of {tuple(ROTARY_RULES)}. Received: rope_type={rope_type!r}",
    )
    require(
        attention_type == "self",
        "Rotary positions are of ordinary self-attention. Received: "
        f"attention_type={attention_type!r}",
    )
    require(
        rope_type == "dinov3" or rope_periods == "float32",
        f'Periods are of rope_type="dinov3". Received: rope_periods={rope_periods!r} and '
        f"rope_type={rope_type!r}",
    )
    check_periods(rope_periods, head_dim(hidden_dim, num_heads))


def _check_shared_keys(rope_type: str | None, num_heads: int, num_key_value_heads: int | None):
    has_own_angles = rope_type is not None and ROTARY_RULES[rope_type].is_learned
    require(
        not has_own_angles or num_key_value_heads in (None, num_heads),
        "Heads that learn angles of their own share no keys. Received: "
        f"num_key_value_heads={num_key_value_heads} and rope_type={rope_type!r}. Leave "
        "num_key_value_heads out",
    )


def _check_relative(
    use_relative_position_bias: bool,
    use_class_token: bool,
    use_distillation_token: bool,
    num_registers: int,
):
    is_class_alone = use_class_token and not use_distillation_token and not num_registers
    require(
        is_class_alone or not use_relative_position_bias,
        "Relative position biases are of patches and a class token alone. Received: "
        f"use_class_token={use_class_token}, use_distillation_token={use_distillation_token}, "
        f"num_registers={num_registers}",
    )


def _check_blocks(
    block_type: str,
    use_mlp_layer_scale: bool,
):
    has_one_scale = block_type in ("parallel", "post_norm")
    require(
        use_mlp_layer_scale or not has_one_scale,
        f"Blocks of this type have no LayerScale of an MLP. Received: block_type={block_type!r}, "
        "use_mlp_layer_scale=False. Leave it out",
    )


def _check_distillation(
    use_distillation_token: bool,
    distillation_output: str,
    pooling: str,
    norm_after_pooling: bool | None,
    use_class_token: bool,
):
    require(
        use_distillation_token or distillation_output == "average",
        'distillation_output="both" needs the second head of use_distillation_token=True. '
        f"Received: use_distillation_token={use_distillation_token!r}",
    )
    pools_nothing = pooling == "class" and not norm_after_pooling and use_class_token
    require(
        not use_distillation_token or pools_nothing,
        "A distilled model has a head for each of its two tokens and pools nothing: leave "
        'pooling="class", use_class_token=True and norm_after_pooling=None. '
        f"Received: pooling={pooling!r}, norm_after_pooling={norm_after_pooling!r}",
    )


def _check_class_token(use_class_token: bool, pooling: str, attention: str):
    require(
        use_class_token or pooling != "class",
        'pooling="class" needs the class token: choose another pooling, such as "average". '
        f"Received: use_class_token={use_class_token!r}",
    )
    require(
        use_class_token or pooling == "attention" or attention != "cls",
        'attention="cls" returns the rows of a class token, which this model has not: choose '
        f'"full" or "none". Received: use_class_token={use_class_token!r}',
    )


def _check_head(
    head_blocks: int,
    head_patch_mean: bool,
    head_interleaved: bool,
    num_layers: int,
    pooling: str,
    use_distillation_token: bool,
):
    is_plain = head_blocks == 1 and not head_patch_mean
    require(
        is_plain or (pooling == "class" and not use_distillation_token),
        'A head that reads several tokens needs pooling="class" and no distillation token. '
        f"Received: head_blocks={head_blocks}, head_patch_mean={head_patch_mean}",
    )
    require(
        head_blocks <= max(num_layers, 1),
        f"head_blocks must be at most num_layers. Received: {head_blocks} of {num_layers}",
    )
    require(
        not head_interleaved or (head_blocks == 1 and head_patch_mean),
        "head_interleaved needs one class token and the patch mean: head_blocks=1 and "
        f"head_patch_mean=True. Received: head_blocks={head_blocks}, "
        f"head_patch_mean={head_patch_mean}",
    )
