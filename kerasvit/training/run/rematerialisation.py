"""Less memory for more time: the inside of each block is computed again for the gradient."""

from collections.abc import Callable
from typing import Any

import keras

from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel


def rematerialise(model: ScoreModel) -> None:
    """Have a model's blocks keep their inputs alone in training.

    The gradients stay the same: what is dropped at random is dropped again. Keras' own
    `RematScope` would draw anew, or pass `training` on as a tensor, for blocks like these.

    Args:
        model: a `VisionTransformer` or `CaiT`; it is changed, and so are views of it.

    Raises:
        UsageError: on TensorFlow, whose recomputed gradients do not allow random states inside.

    Source: Chen et al. 2016 (https://arxiv.org/abs/1604.06174).
    """
    backend = keras.backend.backend()
    if backend not in _WRAPPERS:
        raise UsageError(
            f"Blocks are rematerialised on {' and '.join(_WRAPPERS)}. Received: {backend}. "
            "Set run.rematerialise=false, or another backend"
        )
    for block in model.all_blocks():
        block.call = _WRAPPERS[backend](block, block.call)


def _on_jax(block: keras.layers.Layer, call: Callable) -> Callable:
    import jax

    def rematerialised(*tokens, **options):
        variables = list(block.variables)

        def pure(values, *tokens) -> tuple[Any, list]:
            # Random states go in and out as values: side effects may not leave a checkpoint.
            with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
                outputs = call(*tokens, **options)
            return outputs, [scope.get_current_value(variable) for variable in states]

        states = [variable for variable in variables if not variable.trainable]
        values = [variable.value for variable in variables]
        outputs, after = jax.checkpoint(pure)(values, *tokens)
        for variable, value in zip(states, after, strict=True):
            if value is not None:
                variable.assign(value)
        return outputs

    return rematerialised


def _on_torch(block: keras.layers.Layer, call: Callable) -> Callable:
    import torch
    from torch.utils.checkpoint import checkpoint

    def rematerialised(*tokens, **options):
        if not torch.is_grad_enabled():
            return call(*tokens, **options)
        states = list(block.non_trainable_variables)
        before = [state.value.clone() for state in states]
        runs = []

        def run(*tokens):
            runs.append(tokens)
            if len(runs) == 1:
                return call(*tokens, **options)
            after = [state.value.clone() for state in states]
            _assign(states, before)
            try:
                return call(*tokens, **options)
            finally:
                _assign(states, after)

        return checkpoint(run, *tokens, use_reentrant=False)

    return rematerialised


def _assign(states: list, values: list) -> None:
    for state, value in zip(states, values, strict=True):
        state.assign(value)


_WRAPPERS = {"jax": _on_jax, "torch": _on_torch}
