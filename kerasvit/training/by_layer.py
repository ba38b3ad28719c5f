"""Optimisers with a learning rate and a decay for each weight."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kerasvit.errors import UsageError
from kerasvit.layers.base import PACKAGE
from kerasvit.models.steps.whole_updates import update_adam


class _ByLayer(keras.optimizers.Optimizer):
    """Scales the learning rate and the decay of each weight.

    It takes the decay off itself, in `update_step`, before the step: Keras, which knows one decay
    for all, is left with none.
    """

    weight_decay: float | None

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        *,
        rates: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rates = dict(rates or {})
        self.decays = _take_decays(self)
        self._spared: frozenset[int] = frozenset()
        self._steps = _Steps()

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Spare weights, as in Keras, named by themselves; before the optimiser is built."""
        if var_names:
            raise UsageError(
                f"Weights that are spared are given as var_list. Received: var_names={var_names!r}."
            )
        super().exclude_from_weight_decay(var_list=var_list)
        self._spared = frozenset(id(variable) for variable in var_list or ())

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the state, and settle the rate and the decay of each weight."""
        if self.built:
            return
        super().build(variables)
        for index, variable in enumerate(variables):
            decay = 0.0 if id(variable) in self._spared else self._decay_of(index) or 0.0
            self._steps.add(variable, self.rates.get(variable.path, 1.0), decay)

    def _decay_of(self, index: int) -> float | None:
        return self.decays["weight_decay"]

    def update_step(self, gradient, variable, learning_rate):
        """Take one weight's decay off, then update it, both at its own rate."""
        rate, decay = self._steps.of(variable)
        if decay:
            share = ops.cast(learning_rate * (decay * rate), variable.dtype)
            variable.assign(variable - variable * share)
        super().update_step(gradient, variable, learning_rate * rate)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        return {**config, **self.decays, "rates": dict(self.rates)}


class _Steps:
    """The rate and the decay of each weight, by the objects that `update_step` is handed."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[float, float]] = {}

    def add(self, variable: keras.Variable, rate: float, decay: float) -> None:
        """Note what concerns a weight."""
        self._of.update((id(handed), (rate, decay)) for handed in _handed_over(variable))

    def of(self, handed: Any) -> tuple[float, float]:
        """Return the rate and the decay."""
        return self._of[id(handed)]


def _handed_over(variable: keras.Variable) -> list[Any]:
    """Return what stands for a weight in `update_step`: on TensorFlow its own, of each device."""
    if keras.backend.backend() != "tensorflow":
        return [variable]
    import tensorflow as tf

    return list(tf.distribute.get_strategy().experimental_local_results(variable.value))


def _take_decays(optimizer: Any) -> dict[str, float | None]:
    """Leave Keras without the decays of an optimiser, and return them."""
    names = [name for name in ("weight_decay", "adam_weight_decay") if hasattr(optimizer, name)]
    decays = {name: getattr(optimizer, name) for name in names}
    for name in names:
        setattr(optimizer, name, None)
    return decays


class _AdamW(keras.optimizers.AdamW):
    def update_step(self, gradient, variable, learning_rate):
        update_adam(self, gradient, variable, learning_rate)


@keras.saving.register_keras_serializable(PACKAGE)
class AdamWByLayer(_ByLayer, _AdamW):
    """AdamW with a factor of the learning rate for each weight.

    Args:
        rates: factors by `variable.path`; 1 where there is none.
        **kwargs: of `keras.optimizers.AdamW`.
    """


@keras.saving.register_keras_serializable(PACKAGE)
class LambByLayer(_ByLayer, keras.optimizers.Lamb):
    """LAMB with a factor of the learning rate for each weight; see `AdamWByLayer`."""


@keras.saving.register_keras_serializable(PACKAGE)
class MuonByLayer(_ByLayer, keras.optimizers.Muon):
    """Muon with a factor of the learning rate for each weight; see `AdamWByLayer`."""

    def _decay_of(self, index: int) -> float | None:
        # A weight with a velocity is one that Muon leaves to AdamW.
        is_muons = self.adam_velocities[index] is None
        return self.decays["weight_decay" if is_muons else "adam_weight_decay"]
