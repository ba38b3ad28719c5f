"""The same weights under another dtype policy: what layers compute in."""

from collections.abc import Mapping
from typing import Any, TypeVar

import keras

from kerasvit.errors import UsageError
from kerasvit.layers.base import nested_layers, without_random_start
from kerasvit.models.base import ScoreModel

Model = TypeVar("Model", bound=ScoreModel)

# What the command line calls the policies that keep weights in float32.
PRECISIONS: Mapping[str, str] = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def policy_of(precision: str | None) -> str | None:
    """Return the dtype policy of a precision; None for None.

    Args:
        precision: one of `PRECISIONS`.

    Raises:
        UsageError: if there is no such precision.
    """
    if precision is None:
        return None
    if precision not in PRECISIONS:
        raise UsageError(f"A precision is one of {', '.join(PRECISIONS)}. Received: {precision!r}.")
    return PRECISIONS[precision]


def in_policy(model: Model, dtype: Any) -> Model:
    """Return a model with the weights of another, whose layers compute by another dtype policy.

    Args:
        model: a kerasvit model; it is returned itself if its policy is that already.
        dtype: a policy or its name, such as `"mixed_bfloat16"`: computed in bfloat16, weights kept
            in float32.

    Raises:
        UsageError: if there is no such policy, or the model is quantized.
    """
    try:
        policy = keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(
            "A dtype is a policy of Keras, such as 'float32' or 'mixed_bfloat16'. "
            f"Received: {dtype!r}."
        ) from error
    if model.dtype_policy.name == policy.name:
        return model
    if any(layer.quantization_mode for layer in nested_layers(model)):
        raise UsageError(
            "A quantized model keeps its precision. "
            f"Received: dtype={policy.name!r} for {model.name!r}. Take the model it was made from"
        )
    with without_random_start():
        other = type(model).from_config({**model.get_config(), "dtype": policy})
    if len(other.weights) != len(model.weights):
        raise UsageError(
            "A model with weights of LoRA keeps its precision. "
            f"Received: dtype={policy.name!r} for {model.name!r}. Save it and load it again"
        )
    for variable, own in zip(other.weights, model.weights, strict=True):
        variable.assign(own)
    return other
