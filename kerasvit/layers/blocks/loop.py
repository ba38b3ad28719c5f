"""Blocks of one kind, one after the other, as a loop over one of them: compiled once, not each."""

import contextlib
import contextvars
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from kerasvit import private_names
from kerasvit.layers.base import ConfiguredLayer, kept_arguments
from kerasvit.layers.regularization import rate_in_loop

# Fewer blocks than this are written out: stacking their weights would cost more than it saves.
FEWEST = 3

# Arrays of several weights' values, and these values, by the first of them.
_stacks: contextvars.ContextVar[dict[int, tuple[Sequence[Any], Any]] | None] = (
    contextvars.ContextVar("stacks", default=None)
)


def pass_blocks(
    blocks: Sequence[Any], tokens: Any, arguments: Sequence[dict[str, Any]], training: bool | None
) -> Any:
    """Pass tokens through blocks, and through those that are alike in a loop over one of them.

    XLA compiles all that it sees: of 24 blocks written out, 24 times the same. In a loop it sees
    one block, whose weights are slices of all blocks' weights side by side; values, names and
    random numbers are those of the blocks written out. A step is faster too: on two cores 3.5 s
    instead of 5.9 for a ViT-S/16 at batch 16, 0.79 instead of 1.28 for a CaiT of 12 blocks at batch
    32.

    Args:
        blocks: in order; each takes tokens `(B, N, D)` and returns tokens and scores.
        tokens: tensor `(B, N, D)`, traced by a compiler.
        arguments: further call arguments of each block.
        training: bool or None, as in Keras.

    Returns:
        Tensor `(B, N, D)`.
    """
    for run in alike(blocks, arguments):
        if len(run) < FEWEST or not private_names.knows_autocast():
            for index in run:
                tokens, _ = blocks[index](
                    tokens, score_rows=0, training=training, **arguments[index]
                )
        else:
            members = [blocks[index] for index in run]
            tokens = loop(members, tokens, arguments[run[0]], training)
    return tokens


def alike(blocks: Sequence[Any], arguments: Sequence[dict[str, Any]]) -> list[list[int]]:
    """Return the numbers of the blocks, those next to each other together where one loop does.

    Blocks are alike that differ in nothing but the values of their weights, their name and the rate
    of their stochastic depth, and that are called with the same arguments.
    """
    runs: list[list[int]] = []
    before: Any = None
    for index, block in enumerate(blocks):
        kind = _kind(block), {name: id(value) for name, value in arguments[index].items()}
        if kind == before:
            runs[-1].append(index)
        else:
            runs.append([index])
        before = kind
    return runs


def _kind(block) -> tuple[Any, ...]:
    config = {
        name: value
        for name, value in _config(block).items()
        if name not in ("name", "drop_path_rate")
    }
    variables = [
        (tuple(variable.shape), variable.dtype, variable.trainable) for variable in block.variables
    ]
    # A call that somebody has put in the place of the class's, by what it runs.
    own_call = vars(block).get("call")
    return type(block), getattr(own_call, "__code__", own_call), config, variables


def _config(block) -> dict[str, Any]:
    if type(block).get_config is not ConfiguredLayer.get_config:
        try:
            return block.get_config()
        except NotImplementedError:
            return {"block": id(block)}
    # Keras would import TensorFlow, if it is there, to write the policy down: 2.5 s.
    return {**kept_arguments(block, block.arguments), "policy": block.dtype_policy}


def loop(blocks: Sequence[Any], tokens: Any, arguments: dict[str, Any], training) -> Any:
    """See `pass_blocks`; the blocks are alike.

    What a block assigns, such as the state of its random numbers, is assigned to each after it.
    """
    first = blocks[0]
    with private_names.without_autocast():
        stacked = [
            _side_by_side(variables)
            for variables in zip(*(block.variables for block in blocks), strict=True)
        ]
    rates = ops.convert_to_tensor([block.drop_path_rate for block in blocks], "float32")
    assigned = [index for index, variable in enumerate(first.variables) if not variable.trainable]

    def step(tokens, values):
        *weights, rate = values
        scope = keras.StatelessScope(list(zip(first.variables, weights, strict=True)))
        with scope, rate_in_loop(rate):
            outputs, _ = first(tokens, score_rows=0, training=training, **arguments)
        return outputs, [scope.get_current_value(first.variables[index]) for index in assigned]

    tokens, after = ops.scan(_keeping_products(step), tokens, [*stacked, rates])
    for index, values in zip(assigned, after, strict=True):
        for number, block in enumerate(blocks):
            block.variables[index].assign(values[number])
    return tokens


@contextlib.contextmanager
def given_side_by_side(stacks: Iterable[tuple[Sequence[Any], Any]]) -> Iterator[None]:
    """Have loops take the values of weights from arrays that have them side by side, inside.

    Args:
        stacks: values of the weights of blocks, in order, and the array of them, uncast.
    """
    token = _stacks.set({id(values[0]): (values, stack) for values, stack in stacks})
    try:
        yield
    finally:
        _stacks.reset(token)


def _side_by_side(variables):
    # What the scope at hand has: a loss may call the model with other weights.
    values = [variable.value for variable in variables]
    given, stack = (_stacks.get() or {}).get(id(values[0]), ((), None))
    is_all = len(given) == len(values)
    is_given = is_all and all(one is other for one, other in zip(given, values, strict=True))
    return stack if is_given else ops.stack(values)


def _keeping_products(step):
    """Have JAX keep a few products for the gradient, and compute the rest again.

    What a loop keeps is written into arrays of all blocks, which costs more than to compute a norm,
    a softmax or an activation once more: 0.79 s a step instead of 0.99, and 1.9 GiB in all instead
    of 2.6 (a CaiT of 12 blocks, batch 32).
    """
    if keras.backend.backend() != "jax":
        return step
    import jax

    return jax.checkpoint(step, prevent_cse=False, policy=_is_kept)


def _is_kept(operation, *operands, **parameters) -> bool:
    """Tell whether JAX keeps a result: of a dense layer, and attended values, but no scores.

    A product of two tensors is kept where it is smaller than one of them. To keep attended values
    saves 4 % of a step of a ViT-S/16, to keep the scores too costs as much again.
    """
    if operation.name != "dot_general":
        return False
    contracted, together = parameters["dimension_numbers"]
    if not together[0]:
        return True
    shapes = [operand.shape for operand in operands]
    free = [
        math.prod(size for axis, size in enumerate(shape) if axis not in (*used, *batch))
        for shape, used, batch in zip(shapes, contracted, together, strict=True)
    ]
    batch = math.prod(shapes[0][axis] for axis in together[0])
    return batch * math.prod(free) < max(math.prod(shape) for shape in shapes)
