"""timm's arguments for the models of its BEiT module, and their tables at other sizes.

Source: timm/models/beit.py `Beit.__init__`.
"""

import warnings
from collections.abc import Mapping
from typing import Any

from kerasvit.models.base import ScoreModel

# Ours and timm's, with the same values.
SAME = {
    "hidden_dim": "embed_dim",
    "num_layers": "depth",
    "num_heads": "num_heads",
    "use_qkv_bias": "qkv_bias",
    "layer_scale_init_value": "init_values",
    "patch_size": "patch_size",
}
# Handled by themselves, or what timm's class does without being told.
OTHERS = {"use_relative_position_bias", "use_key_bias"}
_TABLE = ".relative_position_bias_table"


def differing_arguments(model: ScoreModel, differing: Mapping[str, Any]) -> dict[str, Any]:
    """Return timm's arguments for what a model has otherwise than a named one.

    Args:
        model: a Keras model.
        differing: its arguments that are others, with their values.
    """
    arguments = {theirs: differing[ours] for ours, theirs in SAME.items() if ours in differing}
    if {"hidden_dim", "mlp_dim"} & set(differing):
        arguments["mlp_ratio"] = (model.mlp_dim + 0.5) / model.hidden_dim
    return arguments


def whole_arguments(model: ScoreModel) -> dict[str, Any]:
    """Return all arguments of timm's class for a model that timm has no name for."""
    return {
        **{theirs: getattr(model, ours) for ours, theirs in SAME.items()},
        **differing_arguments(model, {"mlp_dim": model.mlp_dim}),
        "swiglu_mlp": model.mlp_type == "gated",
        "scale_mlp": model.use_mlp_sub_norm,
        "use_abs_pos_emb": model.position_embedding == "all",
        "use_rel_pos_bias": True,
    }


def resized_tables(
    timm: Any, state: Mapping[str, Any], model: ScoreModel, grid: tuple[int, int]
) -> dict[str, Any]:
    """Return a state dict whose tables of biases timm has resampled to another grid."""
    stored = model.token_layout().grid
    shape = ((2 * grid[0] - 1) * (2 * grid[1] - 1) + 3, model.num_heads)
    with warnings.catch_warnings():
        # PyTorch complains about how timm indexes.
        warnings.simplefilter("ignore", UserWarning)
        return {
            name: timm.layers.resize_rel_pos_bias_table(value, grid, shape, stored)
            if name.endswith(_TABLE)
            else value
            for name, value in state.items()
        }
