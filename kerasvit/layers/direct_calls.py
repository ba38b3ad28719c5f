"""Calling layers without Keras' general preparations, inside a model where none is needed."""

import contextlib
import inspect
import threading
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import keras

from kerasvit import private_names
from kerasvit.private_names import products


class _Pass(NamedTuple):
    """A pass through a model whose layers may be called directly."""

    policy: keras.dtype_policies.DTypePolicy
    dtype: Any
    training: bool
    # Whether weights are what they hold: no scope casts or replaces them.
    holds_values: bool
    # Whether nothing but values comes of it: no gradient, no trace, nobody who counts operations.
    is_inference: bool

    def suits(self, layer: keras.layers.Layer, values: tuple) -> bool:
        """Tell whether `layer.call` with these values does all that calling the layer would."""
        dtype, policy = self.dtype, layer.dtype_policy
        for value in values:
            if getattr(value, "dtype", dtype) is not dtype:
                return False
        return (
            layer.built
            and (layer.autocast or layer.is_never_cast)
            and (policy is self.policy or _is_policy(policy, self.policy))
            and layer.activity_regularizer is None
            and private_names.is_plain(layer)
        )


def _is_policy(policy, other) -> bool:
    # A map, which is many policies, knows no comparison.
    return not isinstance(policy, keras.dtype_policies.DTypePolicyMap) and policy == other


class _Here(threading.local):
    """The pass that goes on in this thread; TorchDynamo could not look into a `ContextVar`."""

    current: _Pass | None = None


_here = _Here()


class DirectCalls:
    """Makes a Keras layer one that `direct_calls` lets through; comes first among the bases.

    Attributes:
        is_never_cast: whether the layer's weights keep their dtype under mixed precision anyway,
            so that `autocast=False` changes nothing.
        only_in_training: whether the layer hands on its first argument but in training.
    """

    is_never_cast: ClassVar[bool] = False
    only_in_training: ClassVar[bool] = False
    _takes_training: ClassVar[bool] = False
    # The call that the class had when it was made.
    _made_with: ClassVar[Any] = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._takes_training = "training" in inspect.signature(cls.call).parameters
        cls._made_with = cls.call
        names = ("call", "only_in_training")
        owner = next(base for base in cls.__mro__ if any(name in vars(base) for name in names))
        # What a call of its own does in inference is not known.
        cls.only_in_training = vars(owner).get("only_in_training", False)

    def __call__(self, *args, **kwargs):
        """Call the layer, as Keras does unless that is known to be for nothing."""
        current = _here.current
        if current is None:
            return super().__call__(*args, **kwargs)
        if self.only_in_training and current.is_inference and _is_passed_on(self, args, kwargs):
            return args[0]
        training = kwargs.get("training")
        if training is not None and bool(training) is not current.training:
            # Layers that it calls inherit `training` from Keras' own record of its calls.
            with _entered(None):
                return super().__call__(*args, **kwargs)
        if not current.suits(self, (*args, *kwargs.values())):
            with _entered(current._replace(holds_values=False, is_inference=False)):
                return super().__call__(*args, **kwargs)
        if current.training and self._takes_training:
            kwargs["training"] = True
        return self.call(*args, **kwargs)


def _is_passed_on(layer: Any, args: tuple, kwargs: dict[str, Any]) -> bool:
    """Tell whether calling a layer that acts in training alone comes to its one argument."""
    return (
        len(args) == 1
        and not kwargs.get("training")
        and type(layer).call is type(layer)._made_with
        and "call" not in vars(layer)
        and layer.activity_regularizer is None
        and private_names.is_plain(layer)
    )


def holds_values() -> bool:
    """Tell whether a pass goes on here in which weights are the tensors that they hold."""
    current = _here.current
    return current is not None and current.holds_values


def infers(layer: keras.layers.Layer, inputs: Any) -> bool:
    """Tell whether a pass for values alone goes on here, in which a layer is called directly.

    Then what the layer computes may be made together with what follows it.
    """
    current = _here.current
    if current is None or not current.is_inference or "call" in vars(layer):
        return False
    return current.suits(layer, (inputs,))


def is_inference() -> bool:
    """Tell whether a pass for values alone goes on here: without gradients, and unseen."""
    current = _here.current
    return current is not None and current.is_inference


def direct_calls(
    model: keras.Model, weight: keras.Variable, inputs, training: bool | None
) -> contextlib.AbstractContextManager:
    """Call the layers of a model directly inside, where Keras would prepare for nothing.

    Before it calls a layer, Keras binds and converts the arguments, looks for masks and symbols,
    and opens scopes. That takes 0.1 to 0.2 ms; PyTorch, which runs eagerly, would pay it for each
    of the 150 to 220 layers at each call of a model. The other backends pay it once, in tracing.
    Inside, a layer is called the long way where it is quantized, has a dtype of its own or hooks.

    Args:
        model: the model, whose layers derive from `DirectCalls`.
        weight: any weight of a layer that has the model's dtype policy.
        inputs: what the model was called with.
        training: whether the model trains; its layers are told, as Keras would.
    """
    if keras.backend.backend() != "torch" or not private_names.knows_calls():
        return _entered(None)
    return _entered(_torch_pass(model, weight, inputs, bool(training)))


@contextlib.contextmanager
def _entered(current: _Pass | None) -> Iterator[None]:
    before, _here.current = _here.current, current
    try:
        yield
    finally:
        _here.current = before


def _torch_pass(model, weight, inputs, training):
    import torch

    policy = model.dtype_policy
    dtype = getattr(torch, policy.compute_dtype, None)
    is_plain = (
        isinstance(inputs, torch.Tensor)
        and not isinstance(policy, keras.dtype_policies.DTypePolicyMap)
        and not torch.compiler.is_compiling()
        and private_names.is_unwatched()
        and keras.distribution.distribution() is None
        # Keras' scope for mixed precision, which a model's own call opens.
        and weight.value.dtype is dtype
    )
    if not is_plain:
        return None
    holds_values = (
        policy.compute_dtype == policy.variable_dtype
        and weight.value is private_names.held_value(weight)
    )
    is_inference = holds_values and not training and products.multiplies_here(inputs)
    return _Pass(policy, dtype, training, holds_values, is_inference)
