"""Linear heads published apart from their backbones: DINO's and DINOv2's classifiers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.errors import InputError, UsageError

ARGUMENTS = ("head_blocks", "head_patch_mean", "head_interleaved")

# What a head reads, by the width of its input in widths of a token, where nothing says it: DINO's
# ViT-S and ViT-B, and DINOv2's on one block and on four.
_BY_WIDTH = {1: (1, False), 2: (1, True), 4: (4, False), 5: (4, True)}


def find_head(checkpoint: Checkpoint) -> tuple[str, str] | None:
    """Return the names of the weight and bias of a checkpoint that is nothing but a linear head."""
    names = checkpoint.names
    weight = next((name for name in names if name.endswith("weight")), None)
    bias = next((name for name in names if name.endswith("bias")), None)
    if len(names) != 2 or weight is None or bias is None:
        return None
    shapes = checkpoint.shape(weight), checkpoint.shape(bias)
    fits = [len(shape) for shape in shapes] == [2, 1] and shapes[0][0] == shapes[1][0]
    return (weight, bias) if fits else None


def join(
    backbone: Checkpoint, head: Checkpoint, published: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return the checkpoint of the classifier that a linear head makes of its backbone.

    Args:
        backbone: an unwrapped checkpoint in timm's names.
        head: an unwrapped checkpoint of the head alone.
        published: `blocks`, `patch_mean` and `interleaved` of the head's release; None to tell
            them by the head's width, and DINO's, which interleaves, from DINOv2's by the backbone.

    Returns:
        A checkpoint whose `arguments` say what the head reads.

    Raises:
        InputError: if `head` holds something else than a linear head, or its width does not fit.
    """
    found = find_head(head)
    if found is None:
        raise InputError(
            f"{head.label} is no linear head: it must hold one weight (classes, features) and one "
            f"bias. Received: {len(head)} tensors, such as {', '.join(head.names[:3])}. "
            "Pass the file of the head"
        )
    width = backbone.shape("cls_token")[-1] if "cls_token" in backbone else 0
    arguments = _arguments(head, head.shape(found[0])[1], width, published, _is_dinov2(backbone))
    dropped = [name for name in backbone.names if name.startswith("head.")]
    tensors = {name: one for name, one in backbone.tensors.items() if name not in dropped}
    for name, stored in zip(("head.weight", "head.bias"), found, strict=True):
        tensors[name] = _read_through(head, stored)
    reason = f"the backbone's own head, in whose place {head.label} is"
    digest = f", sha256 {head.sha256}" if head.sha256 else ""
    note = f"Joined with the linear head of {head.label}{digest}."
    return dataclasses.replace(
        backbone,
        tree=tensors,
        arguments={**backbone.arguments, **arguments},
        notes=(*backbone.notes, note),
        dropped={**backbone.dropped, **dict.fromkeys(dropped, reason)},
    )


def _arguments(head, features, width, published, is_dinov2) -> dict[str, Any]:
    if published is not None:
        blocks, patch_mean = published["blocks"], published["patch_mean"]
        interleaved = published["interleaved"]
    else:
        ratio = features // width if width else 0
        blocks, patch_mean = _BY_WIDTH.get(ratio, (0, False))
        interleaved = ratio == 2 and not is_dinov2
    if not blocks or (blocks + patch_mean) * width != features:
        raise InputError(
            f"The linear head of {head.label} does not fit its backbone: it must read 1, 2, 4 or 5 "
            f"times {width} features, as those of DINO and DINOv2. Received: {features}. Pass the "
            "backbone that it was trained on"
        )
    return dict(zip(ARGUMENTS, (blocks, patch_mean, interleaved), strict=True))


def _is_dinov2(backbone: Checkpoint) -> bool:
    return "mask_token" in backbone or "blocks.0.ls1.gamma" in backbone


def _read_through(head: Checkpoint, name: str) -> StoredTensor:
    return StoredTensor(head.shape(name), head.dtype(name), lambda: head[name])


def refuse_alone(checkpoint: Checkpoint) -> None:
    """Raise `UsageError` for a linear head without its backbone."""
    if find_head(checkpoint) is not None:
        raise UsageError(
            f"{checkpoint.label} is a linear head; a model needs its backbone too. Received: a "
            "head alone. Pass the backbone's file, and this one as head=... or --head"
        )
