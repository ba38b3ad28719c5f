"""The state of `fit` on JAX, which has weights of blocks that are alike side by side."""

import contextlib
import dataclasses
import functools
import itertools
from typing import Any

import keras

from kerasvit.models.steps.layouts import Layouts
from kerasvit.models.steps.side_by_side import applied_side_by_side, layouts_of, weights_at_hand
from kerasvit.private_names.fitting import forget_state, state_apart

# So many times in a row a state is laid out for one step alone, where a callback reads the model
# after each, until steps are compiled for a state as Keras has it.
_PATIENCE = 20


@dataclasses.dataclass
class _Turn:
    """The steps since a state was laid out.

    Attributes:
        steps: how many there were.
        short_turns: how many turns of one step came right before.
        state: what the last step returned: the very lists that `fit` holds too.
    """

    short_turns: int = 0
    steps: int = 0
    state: Any = None

    def next(self) -> "_Turn":
        """Return the turn after this one."""
        return _Turn(self.short_turns + 1 if self.steps == 1 else 0)


class JoinedState(keras.Model):
    """What lays the state of a model's `fit` out for loops, on JAX alone.

    Attributes:
        steps_are_loops: whether that pays: of `kerasvit.models.steps.logits.LogitSteps`.
    """

    steps_are_loops: bool
    # How the state lies, from the step that laid it out until the weights have their values again.
    _layouts: Layouts | None = None
    # Of a `fit` that runs.
    _turn: _Turn | None = None

    def fit(self, *args, **kwargs):
        """Train as Keras does."""
        self._layouts, self._turn = None, _Turn()
        try:
            return super().fit(*args, **kwargs)
        finally:
            self._layouts, self._turn = None, None

    def train_step(self, state, data):
        """Take a step of `fit`, with a state of either layout."""
        layouts = self._layouts_of(state[0])
        with applied_side_by_side(self, layouts) if layouts else contextlib.nullcontext():
            return super().train_step(state, data)

    def make_train_function(self, force=False):
        """Make the function that takes a step; in `fit` it lays a state of Keras' out anew."""
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = functools.partial(self._step_joined, self.train_function)

    def _step_joined(self, take_step, state, batches):
        if self._turn is None:
            return take_step(state, batches)
        if not self._layouts_of(state[0]):
            # Before anything is laid out: where no batch is left, Keras keeps what it had.
            batches = itertools.chain([next(batches)], batches)
            state = self._laid_out(state)
        logs, self._turn.state = take_step(state, batches)
        self._turn.steps += 1
        return logs, self._turn.state

    def _laid_out(self, state):
        self._turn = self._turn.next()
        pays = self.steps_are_loops and self._turn.short_turns < _PATIENCE
        self._layouts = layouts_of(self) if pays else None
        if self._layouts is None:
            return state
        forget_state(self)
        return self._layouts.join(state)

    def _layouts_of(self, weights) -> Layouts | None:
        """Return how weights lie side by side; None where they lie as Keras has them."""
        layouts = self._layouts
        return layouts if layouts is not None and layouts.is_of(weights) else None

    def compute_loss_and_updates(self, trainable_variables, *args, **kwargs):
        """Compute the loss as Keras does, of weights that may lie side by side."""
        layouts = self._layouts_of(trainable_variables)
        if layouts is None:
            return super().compute_loss_and_updates(trainable_variables, *args, **kwargs)
        weights = layouts.weights.split(trainable_variables)
        slots = layouts.slots.split(kwargs.pop("optimizer_variables"))
        with weights_at_hand(layouts.weights, trainable_variables, weights):
            return super().compute_loss_and_updates(
                weights, *args, optimizer_variables=slots, **kwargs
            )

    def jax_state_sync(self):
        """Give the weights the values that they have in the state of `fit`."""
        state = state_apart(self)
        weights = state.get("trainable_variables") if state else None
        layouts = self._layouts_of(weights) if weights else None
        if layouts is not None:
            state["trainable_variables"] = layouts.weights.split(weights)
            state["optimizer_variables"] = layouts.slots.split(state["optimizer_variables"])
            self._drop_lists()
        self._layouts = None
        super().jax_state_sync()
        if layouts is not None:
            # In place of what the weights were given, which would stay beside them.
            state["trainable_variables"] = [one.value for one in self.trainable_variables]
            state["optimizer_variables"] = [one.value for one in self.optimizer.variables]

    def _drop_lists(self):
        """Empty the lists of the state, which `fit` keeps until the next epoch: all of it twice."""
        if self._turn is not None and self._turn.state is not None:
            weights, _, slots, _ = self._turn.state
            weights.clear()
            slots.clear()
