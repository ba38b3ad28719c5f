"""What a training script wrote beside the weights about the network: its options and its name."""

from collections.abc import Iterator, Mapping
from typing import Any

from kerasvit.conversion.facts.facts import Facts, stated
from kerasvit.conversion.files.trees import Other, Tree
from kerasvit.models import factory

# Where scripts keep their options: timm and DINO a Namespace, Lightning a mapping.
_PLACES = ("args", "hyper_parameters", "hparams", "config", "cfg", "opt", "options", "model_args")
# What they call a fact that no tensor shows. Others are left alone: a script's `depth` or
# `patch_size` may be a decoder's, and the tensors show those anyway.
_OPTIONS = {
    "num_heads": ("num_heads", int),
    "n_heads": ("num_heads", int),
    "num_attention_heads": ("num_heads", int),
    "layer_norm_eps": ("layer_norm_epsilon", float),
    "layer_norm_epsilon": ("layer_norm_epsilon", float),
}
_NAMES = ("arch", "model", "model_name", "architecture", "backbone", "encoder")


def facts_said_in(tree: Tree) -> Facts:
    """Return what a file says of its network in words, as facts that are stated.

    Args:
        tree: the whole file, with all that is no tensor.
    """
    facts = Facts()
    for origin, options in _option_sets(tree):
        values: dict[str, Any] = {}
        for option, (name, kind) in _OPTIONS.items():
            value = options.get(option)
            if isinstance(value, kind) and not isinstance(value, bool):
                values[name] = value
        facts |= stated(origin, values)
        for option in _NAMES:
            heads = _heads_of(options.get(option))
            if heads is not None and "num_heads" not in values:
                facts |= stated(f"{origin}: {option}={options[option]!r}", {"num_heads": heads})
    return facts


def _option_sets(tree: Tree) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "the file", _plain(tree)
    for place in _PLACES:
        item = tree.get(place)
        if isinstance(item, Other) and isinstance(item.value, dict):
            yield f"{place} in the file", item.value
        elif isinstance(item, dict):
            yield f"{place} in the file", _plain(item)


def _plain(tree: Tree) -> dict[str, Any]:
    return {name: item.value for name, item in tree.items() if isinstance(item, Other)}


def _heads_of(name: Any) -> int | None:
    """Return the heads of a variant of timm that a training names in full.

    `vit_small` alone is no such name: DINO's has 6 heads, MoCo v3's 12.
    """
    if not isinstance(name, str) or name.partition(".")[0] not in factory.list_models():
        return None
    return factory.variant(name.partition(".")[0])[1].get("num_heads")
