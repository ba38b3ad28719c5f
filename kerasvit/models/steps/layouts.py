"""How a list of arrays lies: some of them side by side in one array."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from kerasvit.layers.primitives.devices import is_jax_on_cpu


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which of a list of arrays lie side by side.

    Attributes:
        count: how many arrays there are.
        groups: their positions, a tuple for each array of arrays.
    """

    count: int
    groups: tuple[tuple[int, ...], ...]

    @property
    def others(self) -> list[int]:
        """The positions of those that stay as they are."""
        taken = {position for group in self.groups for position in group}
        return [position for position in range(self.count) if position not in taken]

    def join(self, values: list[Any]) -> list[Any]:
        """Return those that stay as they are, and then the arrays of arrays.

        The list loses what is copied, so that a state is in memory once and not twice.
        """
        stacks = []
        for group in self.groups:
            stacks.append(_joined([values[position] for position in group]))
            for position in group:
                values[position] = None
        return [values[position] for position in self.others] + stacks

    def split(self, joined: Sequence[Any]) -> list[Any]:
        """Return what `join` was given."""
        values: list[Any] = [None] * self.count
        alone, stacks = self.halves(joined)
        for position, value in zip(self.others, alone, strict=True):
            values[position] = value
        for group, stack in zip(self.groups, stacks, strict=True):
            for position, value in zip(group, _parts(stack), strict=True):
                values[position] = value
        return values

    def halves(self, joined: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Return those that stay as they are, and the arrays of arrays."""
        count = len(self.others)
        return joined[:count], joined[count:]


def _joined(values: Sequence[Any]) -> Any:
    # On a CPU by NumPy, which sees the memory as it lies: JAX compiles a program for each shape.
    if is_jax_on_cpu():
        return ops.convert_to_tensor(np.stack([np.asarray(value) for value in values]))
    return ops.stack(values)


def _parts(stack: Any) -> Sequence[Any]:
    import jax

    if is_jax_on_cpu() and not isinstance(stack, jax.core.Tracer):
        # Copies: a weight that looked into the array would keep all of it.
        return [part.copy() for part in np.asarray(stack)]
    return [stack[number] for number in range(stack.shape[0])]


@dataclasses.dataclass(frozen=True)
class Layouts:
    """How the state of `fit` lies: of a model's weights that train, and of its optimiser."""

    weights: Layout
    slots: Layout

    def join(self, state: Sequence[Any]) -> tuple[Any, ...]:
        """Return the state that Keras has made, its arrays side by side."""
        weights, others, slots, metrics = state
        return self.weights.join(weights), others, self.slots.join(slots), metrics

    def is_of(self, weights: Sequence[Any]) -> bool:
        """Tell whether weights lie so."""
        return len(weights) == len(self.weights.others) + len(self.weights.groups)
