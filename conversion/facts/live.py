"""What a live module says of itself: attributes of timm's, DINO's, torchvision's networks; configs.

The attributes are those that timm gave them, which DINO, DeiT, CaiT, MAE and MoCo v3 share:
`blocks`, `patch_embed`, `attn.num_heads`, `norm1.eps`, `mlp.act`, `no_embed_class`, `global_pool`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from kerasvit.conversion.facts import huggingface, rotary, timm
from kerasvit.conversion.facts.activations import activation_of
from kerasvit.conversion.facts.facts import Facts, certain, stated
from kerasvit.conversion.facts.pictures import of_pretrained_cfg
from kerasvit.errors import InputError

ORIGIN = "the live module"
_CFG = "the module's pretrained_cfg"
_POST_NORM = ("ResPostBlock", "EvaBlockPostNorm")


def facts_of_module(module: Any) -> Facts:
    """Return what a `torch.nn.Module` says of the ViT or CaiT that it is, or that it holds.

    Args:
        module: any module; one that is no network of a known kind says nothing.

    Raises:
        InputError: if it is a network that no model of this package can be: with an activation
            that there is not, or heads or epsilons that differ from block to block.
    """
    core = core_of(module)
    if core is None:
        return Facts()
    if is_transformers(core):
        return _of_transformers(core)
    if hasattr(core, "encoder"):
        return _of_torchvision(core)
    cfg = _config(core)
    facts = certain(ORIGIN, _of_timm(core)) | stated(_CFG, of_pretrained_cfg(cfg))
    names = timm.class_names(cfg)
    if names and len(names) == getattr(core, "num_classes", None):
        facts |= stated(_CFG, {"class_names": names})
    return facts


def name_of_module(module: Any) -> str | None:
    """Return the name of the architecture, where the module knows it."""
    core = core_of(module)
    return None if core is None else _config(core).get("architecture")


def core_of(module: Any) -> Any:
    """Return the network in a module, itself or the first within that is one; None without."""
    if is_transformers(module):
        return module
    for part in module.modules():
        if is_transformers(part) or _is_timm(part) or _is_torchvision(part):
            return part
    return None


def is_transformers(module: Any) -> bool:
    """Tell a model of transformers whose config is of a known kind."""
    config = getattr(module, "config", None)
    to_dict = getattr(config, "to_dict", None)
    return to_dict is not None and huggingface.vision_config(to_dict()) is not None


def _is_timm(module: Any) -> bool:
    return hasattr(module, "blocks") and hasattr(module, "patch_embed")


def _is_torchvision(module: Any) -> bool:
    return hasattr(module, "conv_proj") and hasattr(module, "encoder")


def _of_transformers(module: Any) -> Facts:
    config = huggingface.vision_config(module.config.to_dict())
    if config is None:
        return Facts()
    facts = huggingface.of_config(config, ORIGIN) | rotary.of_transformers(module)
    return certain(ORIGIN, facts)


def _of_torchvision(module: Any) -> Facts:
    layers = list(module.encoder.layers)
    side = module.image_size
    facts = {
        "num_heads": _only("heads", (layer.self_attention.num_heads for layer in layers)),
        "layer_norm_epsilon": _epsilon(module),
        "activation": activation_of(layers[0].mlp[1], ORIGIN),
        "image_size": (side, side),
        "pooling": "class",
        "position_embedding": "all",
    }
    return certain(ORIGIN, facts)


def _of_timm(module: Any) -> dict[str, Any]:
    blocks = list(module.blocks)
    facts: dict[str, Any] = {
        "num_heads": _only("heads", _heads(blocks)),
        "layer_norm_epsilon": _epsilon(module),
        "activation": _activation(blocks[0]),
        "patch_size": _pair(module.patch_embed.patch_size),
    }
    image_size = getattr(module.patch_embed, "img_size", None)
    if image_size is not None:
        facts["image_size"] = _pair(image_size)
    if type(blocks[0]).__name__ in _POST_NORM:  # it has the tensors of a common block
        facts["block_type"] = "post_norm"
    if hasattr(module, "no_embed_class"):
        facts["position_embedding"] = "patches" if module.no_embed_class else "all"
        if getattr(module, "pos_embed", None) is None:
            facts["position_embedding"] = "none"
    if hasattr(module, "cls_attn_blocks"):
        facts["use_tokens_norm"] = _only(
            "tokens_norm", (block.tokens_norm for block in module.cls_attn_blocks)
        )
    facts |= _read_out(module) | rotary.of_timm(module)
    return {name: value for name, value in facts.items() if value is not None}


def _read_out(module: Any) -> dict[str, Any]:
    pool = getattr(module, "global_pool", None)
    if isinstance(pool, bool):  # MAE's fine-tuning
        return {"pooling": "average", "norm_after_pooling": True} if pool else {"pooling": "class"}
    if pool is None:
        return {}
    if pool == "":
        return {"pooling": "none"}
    if pool not in timm.POOLINGS:
        raise InputError(
            f"The pooling must be one of {', '.join(timm.POOLINGS)}. Received: global_pool="
            f"{pool!r} ({ORIGIN}). Such a network cannot be converted"
        )
    return {
        "pooling": timm.POOLINGS[pool],
        "pool_prefix": _pools_prefix(module),
        "pooling_heads": _pooling_heads(module),
        "norm_after_pooling": _has_weight(module, "fc_norm"),
    }


def _pools_prefix(module: Any) -> bool | None:
    # EVA's module pools by attention over all tokens.
    is_evas = hasattr(module, "rope") and getattr(module, "attn_pool", None) is not None
    return True if is_evas else getattr(module, "pool_include_prefix", None)


def _pooling_heads(module: Any) -> int | None:
    """Return the heads of attention pooling, where they are others than those of a block."""
    pool = getattr(module, "attn_pool", None)
    if pool is None or pool.num_heads == module.blocks[0].attn.num_heads:
        return None
    return pool.num_heads


def _has_weight(module: Any, name: str) -> bool | None:
    part = getattr(module, name, None)
    return None if part is None else getattr(part, "weight", None) is not None


def _heads(blocks: list[Any]) -> Iterator[int]:
    for block in blocks:
        attentions = [part for part in block.modules() if hasattr(part, "num_heads")]
        yield from (attention.num_heads for attention in attentions)


def _epsilon(module: Any) -> float | None:
    norms = (
        part.eps
        for name, part in module.named_modules()
        if hasattr(part, "eps")
        and getattr(part, "weight", None) is not None
        # Differential attention norms each head by an epsilon of its own.
        and not name.endswith("attn.sub_norm")
        # XCiT's batch norms have PyTorch's.
        and not hasattr(part, "running_mean")
    )
    return _only("epsilons", map(float, norms))


def _activation(block: Any) -> str | None:
    for place in ("mlp.act", "mlp.act_fn", "ffns.0.mlp.act", "mlp_act"):
        found = block
        for part in place.split("."):
            found = found[0] if part == "0" else getattr(found, part, None)
            if found is None:
                break
        if found is not None:
            return activation_of(found, ORIGIN)
    # DINOv2's SwiGLUFFN has no module for its activation.
    return "silu" if hasattr(getattr(block, "mlp", None), "w12") else None


def _only(what: str, values: Iterable[Any]) -> Any:
    different = sorted(set(values))
    if len(different) > 1:
        raise InputError(
            f"All blocks of a model must have the same {what}. Received: {different} ({ORIGIN}). "
            "Such a network cannot be converted"
        )
    return different[0] if different else None


def _config(module: Any) -> dict[str, Any]:
    config = getattr(module, "pretrained_cfg", None) or {}
    return dict(config) if not hasattr(config, "to_dict") else config.to_dict()


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)
