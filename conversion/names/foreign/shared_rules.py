"""Rows that the tables of several sources share."""

import numpy as np

from kerasvit.conversion.names.transforms import Kind, Rule, joined, thirds

WEIGHT_AND_BIAS = ("weight", "bias")
OF_THE_TEXT = "of the text tower, or of the loss between the two"


def same(source: str, target: str) -> tuple[Rule, ...]:
    """Return the rules of a layer's weight and bias that only change their name."""
    return tuple(Rule(f"{source}.{end}", f"{target}.{end}") for end in WEIGHT_AND_BIAS)


# A gated MLP of Meta's and of EVA's code: gate, value and what leads back.
GATED_MLP = tuple(
    rule
    for stored, timms in (("w1", "fc1_g"), ("w2", "fc1_x"), ("w3", "fc2"))
    for rule in same(f"blocks.{{i}}.mlp.{stored}", f"blocks.{{i}}.mlp.{timms}")
)


def side_by_side(sources: tuple[str, ...], target: str) -> tuple[Rule, ...]:
    """Return the rules of layers that become one, such as query, key and value."""
    return tuple(
        Rule(
            tuple(f"{source}.{end}" for source in sources), f"{target}.{end}", joined(len(sources))
        )
        for end in WEIGHT_AND_BIAS
    )


def _with_leading(count: int) -> Kind:
    axes = (1,) * count
    return Kind(
        forward=lambda array: array.reshape(*axes, *array.shape),
        shape=lambda shape: (*axes, *shape),
        backward=lambda array: array.reshape(array.shape[count:]),
    )


# Positions (N, D) and a class embedding (D,) as timm keeps them, (1, N, D) and (1, 1, D).
ONE_LEADING = _with_leading(1)
TWO_LEADING = _with_leading(2)

_TRANSPOSED = Kind(
    forward=lambda array: array.T,
    shape=lambda shape: (shape[1], shape[0]),
    backward=lambda array: array.T,
)
_ZEROS_OF_ROWS = Kind(
    forward=lambda array: np.zeros(array.shape[0], np.float32),
    shape=lambda shape: (shape[0],),
)
_ZEROS_OF_COLUMNS = Kind(
    forward=lambda array: np.zeros(array.shape[1], np.float32),
    shape=lambda shape: (shape[1],),
)


def head_without_bias(source: str) -> tuple[Rule, Rule]:
    """Return the rules of a projection (E, D) that becomes a head with a bias of zeros."""
    return Rule(source, "head.weight"), Rule(source, "head.bias", _ZEROS_OF_ROWS)


def transposed_head(source: str) -> tuple[Rule, Rule]:
    """Return the rules of a projection (D, E) that becomes a head with a bias of zeros."""
    return Rule(source, "head.weight", _TRANSPOSED), Rule(source, "head.bias", _ZEROS_OF_COLUMNS)


def query_and_key_value(source: str, target: str) -> tuple[Rule, ...]:
    """Return the rules of torch's `in_proj_*` that timm's attention pooling keeps as two layers."""
    return tuple(
        Rule(f"{source}_{end}", f"{target}.{part}.{end}", kind)
        for end in WEIGHT_AND_BIAS
        for part, kind in (("q", thirds(0, 1)), ("kv", thirds(1, 3)))
    )
