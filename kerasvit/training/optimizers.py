"""Optimisers as the papers use them: no decay on what is no matrix, rates by layer, averages."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import ops

from kerasvit.errors import UsageError
from kerasvit.layers.base import PACKAGE

# Layers whose weights are not decayed although they are no vectors; as in timm's models.
_UNDECAYED = ("class_token", "distillation_token", "registers", "position_embedding")
# Layers whose matrices are no maps between hidden states: Muon leaves them to Adam.
_NOT_MUON = ("head", "patch_embedding", "mixing", "feature_projection")


def make_optimizer(
    model: keras.Model,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float = 0.05,
    rates: Mapping[str, float] | None = None,
    clip_norm: float | None = None,
    ema_momentum: float | None = None,
    *,
    name: str = "adamw",
    adam_weight_decay: float = 0.05,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    accumulation: int | None = None,
) -> keras.optimizers.Optimizer:
    """Return an optimiser for the model's trainable weights, built.

    Weight decay is decoupled and spares biases, norms, scales, tokens and position embeddings.

    Args:
        model: the model that will be trained.
        learning_rate: a number or a schedule.
        weight_decay: share of a weight that a step takes off, times the learning rate.
        rates: factors of the learning rate (and so of the decay) by `variable.path`, as
            `kerasvit.training.finetuning.layer_decay.layer_wise_rates` returns them; 1 where there
            is none.
        clip_norm: the longest global norm of the gradients; None or 0 for any.
        ema_momentum: share that an average of the weights keeps at each step; None or 0 for no
            average. After `fit` the model then has the average, as Keras does it.
        name: "adamw", "lamb", or "muon": Muon for the matrices of the blocks, AdamW for the rest.
        adam_weight_decay: decay of the matrices that "muon" leaves to AdamW.
        beta_2: decay of the second moment.
        epsilon: added to its root.
        accumulation: number of batches whose gradients make one step; None or 1 for one.

    Raises:
        UsageError: if a name or a path is unknown.

    Source: Loshchilov & Hutter 2019 (https://arxiv.org/abs/1711.05101); the weights spared are
    those of timm's `param_groups_weight_decay`; Muon: Jordan et al. 2024
    (https://kellerjordan.github.io/posts/muon/), Liu et al. 2025 (https://arxiv.org/abs/2502.16982).
    """
    if name not in _TYPES:
        raise UsageError(f"An optimiser is one of {', '.join(_TYPES)}. Received: {name!r}.")
    variables = model.trainable_variables
    _check_paths(rates or {}, variables)
    plain, by_layer = _TYPES[name]
    own = {"epsilon": epsilon}
    if name == "muon":
        own |= {"adam_beta_2": beta_2, "adam_weight_decay": adam_weight_decay}
        own["exclude_layers"] = list(_NOT_MUON)
    else:
        own["beta_2"] = beta_2
    optimizer = (by_layer if rates else plain)(
        learning_rate=learning_rate,
        weight_decay=float(weight_decay or 0.0),
        global_clipnorm=clip_norm or None,
        use_ema=bool(ema_momentum),
        ema_momentum=ema_momentum or 0.99,
        gradient_accumulation_steps=None if accumulation in (None, 1) else accumulation,
        **own,
        **({"rates": dict(rates)} if rates else {}),
    )
    spared = [variable for variable in variables if not is_decayed(variable)]
    optimizer.exclude_from_weight_decay(var_list=spared)
    optimizer.build(variables)
    return optimizer


def is_decayed(variable: keras.Variable) -> bool:
    """Tell whether weight decay concerns a weight: a matrix or a kernel of a layer."""
    layers = variable.path.split("/")
    return len(variable.shape) > 1 and not any(name in layers for name in _UNDECAYED)


def _check_paths(rates: Mapping[str, float], variables) -> None:
    paths = {variable.path for variable in variables}
    unknown = [path for path in rates if path not in paths]
    if unknown and not paths & set(rates):
        raise UsageError(
            "Rates are named by the paths of the model's trainable weights. "
            f"Received: {unknown[0]!r}. Make them with layer_wise_rates of the same model."
        )


class _ByLayer:
    """Scales the learning rate and the decay of each weight."""

    def __init__(self, *args, rates: Mapping[str, float] | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.rates = dict(rates or {})

    def update_step(self, gradient, variable, learning_rate):
        """Update one weight at its own rate."""
        super().update_step(gradient, variable, learning_rate * self._rate_of(variable))

    def _rate_of(self, variable) -> float:
        # TensorFlow hands its own variables over, which know no path.
        known = self._trainable_variables[self._get_variable_index(variable)]
        return self.rates.get(known.path, 1.0)

    def _apply_weight_decay(self, variables):
        if self.weight_decay is None:
            return
        for variable in variables:
            if self._use_weight_decay(variable):
                decay = self._decay_of(variable) * self._rate_of(variable)
                rate = ops.cast(self._get_current_learning_rate(), variable.dtype)
                variable.assign(variable - variable * ops.cast(decay, variable.dtype) * rate)

    def _decay_of(self, variable) -> float:
        return self.weight_decay

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rates": dict(self.rates)}


@keras.saving.register_keras_serializable(PACKAGE)
class AdamWByLayer(_ByLayer, keras.optimizers.AdamW):
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

    def _decay_of(self, variable) -> float:
        return self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay


_TYPES = {
    "adamw": (keras.optimizers.AdamW, AdamWByLayer),
    "lamb": (keras.optimizers.Lamb, LambByLayer),
    "muon": (keras.optimizers.Muon, MuonByLayer),
}


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Give the model its averaged weights for the length of a block; nothing where there are none.

    Args:
        model: compiled with an optimiser of `make_optimizer`.
    """
    swap_averages(model)
    try:
        yield
    finally:
        swap_averages(model)


def swap_averages(model: keras.Model) -> None:
    """Exchange the weights and their averages; nothing where there are none."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not getattr(optimizer, "use_ema", False):
        return
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()
    pairs = zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
    for weight, average in pairs:
        kept = ops.convert_to_numpy(weight).copy()
        weight.assign(average)
        average.assign(kept)
