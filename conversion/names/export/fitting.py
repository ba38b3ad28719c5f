"""Which network of transformers a model is, if it is one."""

from typing import Any

from kerasvit.conversion.names.export.network import Network
from kerasvit.conversion.names.export.networks import (
    ACTIVATIONS,
    BEIT,
    DEIT,
    DEIT_WITH_TEACHER,
    DINOV2,
    DINOV2_WITH_REGISTERS,
    DINOV3,
    VIT,
)
from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel


def network_of(model: ScoreModel) -> Network:
    """Return the class of networks of transformers that computes what a model does.

    Raises:
        UsageError: if there is none; the message says what differs.
    """
    network = _likely(model)
    problem = next(
        (
            f"{network.classifier or network.backbone} has {argument}={wanted!r}, and this model "
            f"{getattr(model, argument, None)!r}"
            for argument, wanted in network.needs.items()
            if getattr(model, argument, None) != wanted
        ),
        None,
    ) or _other_problem(model, network)
    if problem is not None:
        raise UsageError(
            "The layout 'huggingface' is for models that transformers has: ViT, DeiT, DINOv2 with "
            f"and without registers, DINOv3, BEiT. Received: {model.name!r}; {problem}. "
            "Choose layout='timm'"
        )
    return network


def _likely(model: ScoreModel) -> Network:
    if getattr(model, "rope_type", None) is not None:
        return DINOV3
    if getattr(model, "use_relative_position_bias", False):
        return BEIT
    if getattr(model, "layer_scale_init_value", None) is not None:
        return DINOV2_WITH_REGISTERS if getattr(model, "num_registers", 0) else DINOV2
    if getattr(model, "use_distillation_token", False):
        return DEIT_WITH_TEACHER
    return DEIT if getattr(model, "num_registers", 0) else VIT


def _other_problem(model: Any, network: Network) -> str | None:
    if model.activation not in ACTIVATIONS:
        return f"it has no activation {model.activation!r}"
    if network.model_type in ("vit", "deit"):
        return None
    if model.layer_scale_init_value is None:
        return "it has LayerScale, and this model has none"
    if network is DINOV3:
        return None
    if network is BEIT:
        return _problem_of_beit(model) or _problem_of_grid(model)
    if model.num_classes and not model.head_patch_mean:
        return (
            "its classifier reads the class token and the mean patch token, and this model's the "
            "class token alone (num_classes=0 leaves it out)"
        )
    is_wide = mlp_ratio(model) is None
    return _problem_of_grid(model) or (
        f"its MLP can't be {model.mlp_dim} wide" if is_wide else None
    )


def _problem_of_beit(model: Any) -> str | None:
    # The mean is normalised, the class token is one of tokens that are.
    if (model.pooling, model.normed_after_pooling) in (("average", True), ("class", False)):
        return None
    return f"it has no pooling={model.pooling!r} with its norm there"


def _problem_of_grid(model: Any) -> str | None:
    height, width = model.token_layout().grid
    if height == width:
        return None
    return f"it knows square grids of patches alone, and this model's is {height}x{width}"


def mlp_ratio(model: Any) -> int | None:
    """Return the whole number of widths from which DINOv2's code gets the width of the MLP."""
    if model.mlp_type == "mlp":
        ratio, rest = divmod(model.mlp_dim, model.hidden_dim)
        return None if rest else ratio
    ratios = range(1, 2 + 2 * model.mlp_dim // model.hidden_dim)
    gated = {(int(model.hidden_dim * ratio * 2 / 3) + 7) // 8 * 8: ratio for ratio in ratios}
    return gated.get(model.mlp_dim) if model.activation == "silu" else None
