"""The head among a file's tensors, whatever it is called."""

from collections.abc import Collection, Mapping

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.names.unwrapping.tables import BEFORE_HEAD, HEAD

_WEIGHT, _BIAS = ".weight", ".bias"


def head_names(tensors: Mapping[str, StoredTensor], known: Collection[str]) -> dict[str, str]:
    """Return the names that a head's tensors get, by those that they have.

    One linear layer becomes `head.weight` and `head.bias`. What is more than one linear layer, as a
    norm before it or a hidden layer, is no head of any model here: it is called `head.` and its own
    name, so that it is refused as left over, and left out where no head is wanted.

    Args:
        tensors: the tensors of one network, by their names below its prefix.
        known: names whose meaning is known otherwise.
    """
    free = [name for name in tensors if name not in known and HEAD.match(name)]
    before = [name for name in tensors if name not in known and BEFORE_HEAD.match(name)]
    renamed = {name: f"head.{name}" for name in before}
    if {"head.weight"} & set(tensors) and set(free) <= {"head.weight", "head.bias"}:
        return renamed
    layers = {name.removesuffix(_WEIGHT) for name in free if _is_matrix(name, tensors)}
    names = {f"{layer}{end}" for layer in layers for end in (_WEIGHT, _BIAS)}
    if len(layers) == 1 and set(free) <= names:
        layer = layers.pop()
        return renamed | {name: f"head{name[len(layer) :]}" for name in free}
    if "head.weight" in free:  # which of two heads counts can't be told
        return renamed
    return renamed | {name: name if name.startswith("head.") else f"head.{name}" for name in free}


def _is_matrix(name: str, tensors: Mapping[str, StoredTensor]) -> bool:
    return name.endswith(_WEIGHT) and len(tensors[name].shape) == 2
