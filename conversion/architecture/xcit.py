"""What the tensors of an XCiT say; it has no learned positions, and a stem of several layers."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasvit.conversion.facts.facts import Facts, by_name
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names.xcit_layout import TIMM_XCIT
from kerasvit.errors import InputError

_STEM = "patch_embed.proj.0.0.weight"
_POSITIONS = "pos_embed.token_projection.weight"


def is_xcit(names: Iterable[str]) -> bool:
    """Tell an XCiT by the names of its tensors, which are timm's."""
    return _STEM in set(names)


def read(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what `Detected` says of an XCiT, but for its classes.

    Raises:
        InputError: if a tensor that every XCiT has is missing.
    """
    return {
        "family": "xcit",
        "layout": TIMM_XCIT,
        "structure": {**_structure(checkpoint), **_heads(checkpoint)},
        "channels": checkpoint.shape(_STEM)[1],
        "stored_positions": 0,
        "patches_by_kind": {},
        "has_layer_scale": True,
        "norm_after_pooling": False,
    }


def _structure(checkpoint: Checkpoint) -> dict[str, Any]:
    names = set(checkpoint.names)
    wanted = (_POSITIONS, "cls_token", "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(
            f"{checkpoint.label} holds no XCiT in the layout of timm or of its authors: it must "
            f"have {', '.join(wanted)}. Received: {len(names)} tensors without "
            f"{', '.join(missing)}. Save the state dict of such a model"
        )
    side = 2 ** len([name for name in checkpoint.names if _is_stems(name)])
    return {
        "patch_size": (side, side),
        "hidden_dim": checkpoint.shape("cls_token")[-1],
        "num_layers": _count(checkpoint.names, "blocks"),
        "num_class_layers": _count(checkpoint.names, "cls_attn_blocks"),
        "mlp_dim": checkpoint.shape("blocks.0.mlp.fc1.weight")[0],
        "use_qkv_bias": "blocks.0.attn.qkv.bias" in names,
    }


def _heads(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the number of heads, which the temperatures tell: one a head."""
    name = "blocks.0.attn.temperature"
    return {"num_heads": checkpoint.shape(name)[0]} if name in set(checkpoint.names) else {}


def image_size_facts(facts: Facts, variants: Iterable[Mapping[str, Any]], origin: str) -> Facts:
    """Return `image_size`, which no tensor says: what is known, or the named model's own.

    Args:
        facts: what is known beside the tensors.
        variants: arguments of the named models that fit, the one that is meant first.
        origin: what messages call it.
    """
    if "image_size" in facts:
        return Facts()
    sizes = [tuple(variant["image_shape"][:2]) for variant in variants]
    return by_name(origin, {"image_size": sizes[0] if sizes else (224, 224)})


def _is_stems(name: str) -> bool:
    return name.startswith("patch_embed.proj.") and name.endswith(".0.weight")


def _count(names: Iterable[str], prefix: str) -> int:
    numbers = {name.split(".")[1] for name in names if name.startswith(f"{prefix}.")}
    return len(numbers)
