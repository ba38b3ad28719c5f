"""The rules that a VisionTransformer's arguments must keep."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasvit.layers.base import require, require_at_least
from kerasvit.models.vit.readout import POOLINGS

POSITIONS = ("all", "patches")
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
