"""Weights of blocks that are alike, side by side in one array for the length of an epoch.

A step on JAX is a loop over such blocks (`kerasvit.layers.blocks.loop`), which takes their weights
so, and hands out their gradients so. Where the state of `fit` has them side by side too, nothing is
laid out anew in a step, and the optimiser updates one array where it had one for each block, so
that XLA compiles a tenth of the loops.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from kerasvit.layers.blocks.loop import FEWEST, alike, given_side_by_side
from kerasvit.models.steps.layouts import Layout, Layouts
from kerasvit.private_names.fitting import is_decayed, knows_state

# Optimisers that treat each weight by itself, in one way whichever it is.
_PLAIN = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adamax,
    keras.optimizers.Nadam,
    keras.optimizers.Ftrl,
    keras.optimizers.Lion,
    keras.optimizers.Lamb,
)

# What somebody may have put in the place of a method of theirs.
_REPLACEABLE = ("apply", "apply_gradients", "stateless_apply", "update_step")


def layouts_of(model: Any) -> Layouts | None:
    """Return how the state of a compiled model is best laid out; None for as Keras has it."""
    optimizer = model.optimizer
    weights = list(model.trainable_variables)
    if not (knows_state() and _is_plain(optimizer, weights)):
        return None
    slots = _slots(optimizer, weights)
    layout = Layout(len(weights), _groups(model, optimizer, weights))
    # Without a weight of its own Keras takes no step.
    if slots is None or not layout.groups or not layout.others:
        return None
    places = {id(variable): place for place, variable in enumerate(optimizer.variables)}
    of_slots = tuple(
        tuple(places[id(slot[position])] for position in group)
        for group in layout.groups
        for slot in slots
    )
    return Layouts(layout, Layout(len(places), of_slots))


def _is_plain(optimizer: Any, weights: Sequence[Any]) -> bool:
    """Tell whether an optimiser, made for these weights, is as Keras has it, with no more to do."""
    if type(optimizer) not in _PLAIN or not optimizer.built:
        return False
    own = vars(optimizer)
    has_more = (
        optimizer.use_ema or optimizer.gradient_accumulation_steps or optimizer.loss_scale_factor
    )
    lists = [[id(one) for one in values] for values in own.values() if isinstance(values, list)]
    is_of_weights = [id(weight) for weight in weights] in lists
    return is_of_weights and not has_more and not any(name in own for name in _REPLACEABLE)


def _groups(model: Any, optimizer: Any, weights: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    places = {id(weight): place for place, weight in enumerate(weights)}
    groups = []
    for run in alike(model.blocks, [{}] * len(model.blocks)):
        members = [model.blocks[index].variables for index in run]
        for variables in zip(*members, strict=True) if len(run) >= FEWEST else ():
            is_one_kind = len({is_decayed(optimizer, one) for one in variables}) == 1
            is_plain = all(one.constraint is None and id(one) in places for one in variables)
            if is_one_kind and is_plain and not variables[0].overwrite_with_gradient:
                groups.append(tuple(places[id(one)] for one in variables))
    taken = [place for group in groups for place in group]
    # A block that stands in more than one place has one gradient, of all of them.
    return tuple(groups) if len(taken) == len(set(taken)) else ()


def _slots(optimizer: Any, weights: Sequence[Any]) -> list[list[Any]] | None:
    """Return the lists of one variable for each weight; None where the optimiser has others too."""
    own = {id(variable) for variable in optimizer.variables}
    shapes = [tuple(weight.shape) for weight in weights]
    lists = [values for values in vars(optimizer).values() if isinstance(values, list)]
    slots = [
        list(values)
        for values in lists
        if all(id(one) in own for one in values) and [tuple(one.shape) for one in values] == shapes
    ]
    in_slots = {id(one) for slot in slots for one in slot}
    rest = [one for one in optimizer.variables if id(one) not in in_slots]
    return slots if all(len(one.shape) == 0 for one in rest) else None


@contextlib.contextmanager
def weights_at_hand(layout: Layout, joined: Sequence[Any], values: Sequence[Any]) -> Iterator[None]:
    """Have loops over blocks take arrays of weights as they lie, inside.

    Args:
        layout: of the weights.
        joined: the weights, side by side.
        values: the same, one by one.
    """
    groups = [[values[place] for place in group] for group in layout.groups]
    with given_side_by_side(zip(groups, layout.halves(joined)[1], strict=True)):
        yield


@contextlib.contextmanager
def applied_side_by_side(model: Any, layouts: Layouts) -> Iterator[None]:
    """Have `stateless_apply` of the model's optimiser take and return lists that lie so, inside."""
    optimizer = model.optimizer
    vars(optimizer)["stateless_apply"] = _application(model, layouts)
    try:
        yield
    finally:
        del vars(optimizer)["stateless_apply"]


def _application(model: Any, layouts: Layouts) -> Callable:
    optimizer, variables = model.optimizer, model.trainable_variables
    alone = [variables[place] for place in layouts.weights.others]
    common = [optimizer.variables[place] for place in layouts.slots.others]
    groups = layouts.weights.groups
    own = [
        [variables[group[0]], *(optimizer.variables[place[0]] for place in slots)]
        for group, slots in zip(groups, _by_group(layouts.slots.groups, len(groups)), strict=True)
    ]

    def apply(slots, gradients, weights):
        gradients = _clipped(optimizer, gradients)
        of_alone, of_groups = layouts.weights.halves(gradients)
        plain_weights, weight_stacks = layouts.weights.halves(weights)
        plain_slots, slot_stacks = layouts.slots.halves(slots)
        scalars = list(zip(common, plain_slots, strict=True))
        with keras.StatelessScope([*scalars, *zip(alone, plain_weights, strict=True)]) as scope:
            optimizer.apply(of_alone, alone)
        updated = [
            _of_group(optimizer, scalars, members, gradient, [weight, *stacks])
            for members, gradient, weight, stacks in zip(
                own, of_groups, weight_stacks, _by_group(slot_stacks, len(groups)), strict=True
            )
        ]
        new_weights = [scope.get_current_value(one) for one in alone]
        new_slots = [scope.get_current_value(one) for one in common]
        return (
            new_weights + [weight for weight, *_ in updated],
            new_slots + [slot for _, *stacks in updated for slot in stacks],
        )

    return apply


def _by_group(of_slots: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Return what there is of each group's slots, together."""
    each = len(of_slots) // count
    return [of_slots[number * each : (number + 1) * each] for number in range(count)]


def _of_group(optimizer, scalars, members, gradient, values):
    """Update weights and slots that lie side by side, each as if it were the first."""
    import jax

    def update(gradient, *values):
        with keras.StatelessScope([*scalars, *zip(members, values, strict=True)]) as scope:
            optimizer.apply([gradient], members[:1])
        return [scope.get_current_value(one) for one in members]

    return jax.vmap(update)(gradient, *values)


def _clipped(optimizer: Any, gradients: Sequence[Any]) -> Sequence[Any]:
    """Clip by the norm of all gradients; of a part of them, Keras then finds nothing to clip."""
    limit = optimizer.global_clipnorm
    if not limit or optimizer.clipnorm:
        return gradients
    norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
    return [gradient * (limit / ops.maximum(norm, limit)) for gradient in gradients]
