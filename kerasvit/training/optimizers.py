"""Optimisers as the papers use them: no decay on what is no matrix, rates by layer, averages."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import ops

from kerasvit.errors import UsageError
from kerasvit.training.by_layer import AdamWByLayer, LambByLayer, MuonByLayer

# What starts so is not decayed although it is no vector; as in timm's models.
_UNDECAYED = (
    "class_token",
    "distillation_token",
    "position",
    "registers",
    "relative_bias",
    "rotary",
    "temperature",
)
# Layers whose matrices are no maps between hidden states: Muon leaves them to Adam.
_NOT_MUON = (
    "feature_projection",
    "head",
    "mixing",
    "patch_embedding",
    "relative_bias",
    "rotary",
    "temperature",
)


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
    own: dict[str, Any] = {"epsilon": epsilon}
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
    return len(variable.shape) > 1 and not any(layer.startswith(_UNDECAYED) for layer in layers)


def _check_paths(rates: Mapping[str, float], variables) -> None:
    paths = {variable.path for variable in variables}
    unknown = [path for path in rates if path not in paths]
    if unknown and not paths & set(rates):
        raise UsageError(
            "Rates are named by the paths of the model's trainable weights. "
            f"Received: {unknown[0]!r}. Make them with layer_wise_rates of the same model."
        )


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
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not getattr(optimizer, "use_ema", False):
        yield
        return
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()
    weights = model.trainable_variables
    values = [ops.convert_to_numpy(weight).copy() for weight in weights]
    # Of the class: a run switches off its optimiser's own, which `fit` would call.
    type(optimizer).finalize_variable_values(optimizer, weights)
    for weight in weights:
        # A copy: on JAX an evaluation gives a weight's array away, and this is the average's too.
        weight.assign(ops.convert_to_numpy(weight).copy())
    try:
        yield
    finally:
        for weight, value in zip(weights, values, strict=True):
            weight.assign(value)
