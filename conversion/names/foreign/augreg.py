"""Names of Google's `.npz` files, augreg and big_vision (FlexiViT, SigLIP), and JAX's kernels.

Facts: timm/models/vision_transformer.py `_load_weights`, which the tests compare with; the modules'
names are those of google-research/vision_transformer `models_vit.py` and
google-research/big_vision `models/vit.py`.
"""

import functools
import re
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.names.foreign.naming import Naming
from kerasvit.conversion.names.transforms import LINEAR, Kind, Rule, permutation

_PREFIXES = ("opt/target/", "params/img/", "params/", "")
_MARK = "embedding/kernel"
_POSITIONS = "Transformer/posembed_input/pos_embedding"
# All blocks in one tensor, as big_vision's `scan` stores them.
_STACKED = re.compile(r"Transformer/encoderblock/(.+)")

# JAX keeps (height, width, in, out), torch (out, in, height, width).
_PATCHES = permutation(3, 2, 0, 1)


def _merge(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (D, H, D / H) as (D, D): one axis for the heads and what is in them."""
    if len(shape) != 3:
        raise ValueError(f"A kernel of an attention has three axes. Received: {shape}")
    return shape[0], shape[1] * shape[2]


# Queries, keys and values: (D, heads, D / heads) each, joined as torch's (3 D, D).
_HEADS_IN = Kind(
    forward=lambda *arrays: np.concatenate([one.reshape(_merge(one.shape)).T for one in arrays]),
    shape=lambda *shapes: (sum(_merge(one)[1] for one in shapes), shapes[0][0]),
)
_HEADS_BIAS = Kind(
    forward=lambda *arrays: np.concatenate([one.reshape(-1) for one in arrays]),
    shape=lambda *shapes: (sum(one[0] * one[1] for one in shapes),),
)
_HEADS_OUT = Kind(
    forward=lambda array: array.reshape(-1, array.shape[2]).T,
    shape=lambda shape: (shape[2], shape[0] * shape[1]),
)


def _norm(source: str, target: str) -> tuple[Rule, Rule]:
    return Rule(f"{source}/scale", f"{target}.weight"), Rule(f"{source}/bias", f"{target}.bias")


def _dense(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{source}/kernel", f"{target}.weight", LINEAR),
        Rule(f"{source}/bias", f"{target}.bias"),
    )


def _heads(source: str, names: tuple[str, ...], target: str) -> tuple[Rule, Rule]:
    kernels, biases = (
        tuple(f"{source}/{name}/{end}" for name in names) for end in ("kernel", "bias")
    )
    return (
        Rule(kernels, f"{target}.weight", _HEADS_IN),
        Rule(biases, f"{target}.bias", _HEADS_BIAS),
    )


def _heads_out(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{source}/out/kernel", f"{target}.weight", _HEADS_OUT),
        Rule(f"{source}/out/bias", f"{target}.bias"),
    )


def _rules(attention: int, mlp: int, norm: int, positions: str) -> tuple[Rule, ...]:
    """Return the rules of a family, which numbers the modules of a block in its own way."""
    source, target = "Transformer/encoderblock_{i}", "blocks.{i}"
    scores = f"{source}/MultiHeadDotProductAttention_{attention}"
    pool, pool_scores = "MAPHead_0", "MAPHead_0/MultiHeadDotProductAttention_0"
    return (
        Rule("embedding/kernel", "patch_embed.proj.weight", _PATCHES),
        Rule("embedding/bias", "patch_embed.proj.bias"),
        Rule("cls", "cls_token"),
        Rule(positions, "pos_embed"),
        *_norm(f"{source}/LayerNorm_0", f"{target}.norm1"),
        *_heads(scores, ("query", "key", "value"), f"{target}.attn.qkv"),
        *_heads_out(scores, f"{target}.attn.proj"),
        *_norm(f"{source}/LayerNorm_{norm}", f"{target}.norm2"),
        *_dense(f"{source}/MlpBlock_{mlp}/Dense_0", f"{target}.mlp.fc1"),
        *_dense(f"{source}/MlpBlock_{mlp}/Dense_1", f"{target}.mlp.fc2"),
        *_norm("Transformer/encoder_norm", "norm"),
        *_dense("head", "head"),
        # SigLIP's attention pooling.
        Rule(f"{pool}/probe", "attn_pool.latent"),
        *_heads(pool_scores, ("query",), "attn_pool.q"),
        *_heads(pool_scores, ("key", "value"), "attn_pool.kv"),
        *_heads_out(pool_scores, "attn_pool.proj"),
        *_norm(f"{pool}/LayerNorm_0", "attn_pool.norm"),
        *_dense(f"{pool}/MlpBlock_0/Dense_0", "attn_pool.mlp.fc1"),
        *_dense(f"{pool}/MlpBlock_0/Dense_1", "attn_pool.mlp.fc2"),
    )


def _canonical(names: Iterable[str], is_augreg: bool) -> Mapping[str, str] | None:
    names = tuple(names)
    prefix = next((one for one in _PREFIXES if f"{one}{_MARK}" in names), None)
    if prefix is None or (f"{prefix}{_POSITIONS}" in names) != is_augreg:
        return None
    return {
        name: name.removeprefix(prefix) if name.startswith(prefix) else f"beside/{name}"
        for name in names
    }


def _dropped(names: Collection[str]) -> Mapping[str, str]:
    dropped = {
        "beside/opt/*": "the state of the optimiser, no weight",
        "beside/params/*": "of the text tower, or of the loss between the two",
    }
    if "pre_logits/kernel" in names:
        reason = "the head takes a representation layer (pre_logits) that timm's ViT has no more"
        dropped |= {"pre_logits/*": reason, "head/*": reason}
    return dropped


def _split(name: str, tensor: StoredTensor) -> Iterable[tuple[str, StoredTensor]]:
    stacked = _STACKED.fullmatch(name)
    if stacked is None or not tensor.shape:
        return ((name, tensor),)
    return (
        (f"Transformer/encoderblock_{index}/{stacked[1]}", tensor.row(index))
        for index in range(tensor.shape[0])
    )


NAMINGS = (
    Naming(
        "augreg",
        functools.partial(_canonical, is_augreg=True),
        _rules(attention=1, mlp=3, norm=2, positions=_POSITIONS),
        _dropped,
    ),
    Naming(
        "big_vision",
        functools.partial(_canonical, is_augreg=False),
        _rules(attention=0, mlp=0, norm=1, positions="pos_embedding"),
        _dropped,
        split=_split,
    ),
)
