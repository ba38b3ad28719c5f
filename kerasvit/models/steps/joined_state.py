"""The state of `fit` on JAX, which has weights of blocks that are alike side by side."""

import contextlib
import contextvars
import functools
from typing import Any

import keras

from kerasvit.models.steps.side_by_side import (
    Layouts,
    applied_side_by_side,
    layouts_of,
    weights_at_hand,
)
from kerasvit.private_names.fitting import state_apart

# The model whose `fit` runs in this thread.
_fitting: contextvars.ContextVar[Any] = contextvars.ContextVar("fitting", default=None)


class JoinedState(keras.Model):
    """What lays the state of a model's `fit` out for loops, on JAX alone.

    Attributes:
        steps_are_loops: whether that pays: of `kerasvit.models.steps.logits.LogitSteps`.
    """

    steps_are_loops: bool
    # How the state lies, from the step that laid it out until the weights have their values again.
    _layouts: Layouts | None = None

    def fit(self, *args, **kwargs):
        """Train as Keras does."""
        token = _fitting.set(self)
        try:
            return super().fit(*args, **kwargs)
        finally:
            _fitting.reset(token)

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
        if _fitting.get() is self and not self._layouts_of(state[0]):
            self._layouts = layouts_of(self) if self.steps_are_loops else None
            state = self._layouts.join(state) if self._layouts else state
        return take_step(state, batches)

    def _layouts_of(self, weights) -> Layouts | None:
        """Return how weights lie side by side; None where they lie as Keras has them."""
        layouts = self._layouts
        return layouts if layouts is not None and layouts.is_of(weights) else None

    def compute_loss_and_updates(self, trainable_variables, *args, **kwargs):
        """Compute the loss as Keras does, of weights that may lie side by side."""
        layouts = self._layouts_of(trainable_variables)
        if layouts is None:
            return super().compute_loss_and_updates(trainable_variables, *args, **kwargs)
        slots = kwargs.pop("optimizer_variables")
        with weights_at_hand(self, layouts.weights, trainable_variables):
            return super().compute_loss_and_updates(
                layouts.weights.split(trainable_variables),
                *args,
                optimizer_variables=layouts.slots.split(slots),
                **kwargs,
            )

    def jax_state_sync(self):
        """Give the weights the values that they have in the state of `fit`."""
        state = state_apart(self)
        weights = state.get("trainable_variables") if state else None
        layouts = self._layouts_of(weights) if weights else None
        if layouts is not None:
            state["trainable_variables"] = layouts.weights.split(weights)
            state["optimizer_variables"] = layouts.slots.split(state["optimizer_variables"])
            self._layouts = None
        super().jax_state_sync()
