"""How many patches the positions in a checkpoint may be of."""

from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.files.checkpoint import Checkpoint


def relative_grids(checkpoint: Checkpoint) -> tuple[tuple[int, int], ...]:
    """Return every grid whose distances fill the table of relative biases."""
    name = "blocks.0.attn.relative_position_bias_table"
    if name not in checkpoint.names:
        return ()
    count = checkpoint.shape(name)[0] - 3  # without those of the class token
    return tuple(
        ((height + 1) // 2, (count // height + 1) // 2)
        for height in range(1, count + 1, 2)
        if count % height == 0 and (count // height) % 2
    )


def patches_by_kind(checkpoint: Checkpoint, structure: Mapping[str, Any]) -> dict[str | None, int]:
    """Return the number of patches of a learned table, by the tokens that have a position."""
    length = checkpoint.shape("pos_embed")[1]
    if "register_tokens" in set(checkpoint.names):  # DINOv2's class token has one, registers none
        return {"patches": length - 1}
    prefix = (
        structure["use_class_token"]
        + structure["use_distillation_token"]
        + structure["num_registers"]
    )
    counts: dict[str | None, int] = {"all": length - prefix}
    if prefix and not structure["use_distillation_token"]:
        counts["patches"] = length
    return {kind: count for kind, count in counts.items() if count > 0}
