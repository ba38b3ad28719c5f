"""Adam's update of a weight as one operation of TensorFlow.

Keras writes it down in twenty, for each weight. A graph runs them about as fast as the one, but to
trace them and to make them ready takes half of the time until a first step ends: 18 to 25 s for a
CaiT of 14 layers, 9 to 10 with whole updates.
"""

import contextlib
import contextvars
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from kerasvit.private_names.fitting import is_decayed, knows_decay, moments_of, without_decay


class _Scalars:
    """Scalars that the updates of a step share, each made once in a graph."""

    def __init__(self) -> None:
        self._made: dict[tuple, tuple] = {}

    def get(self, make: Callable[[], tuple], *key: Any) -> tuple:
        """Return what `make` returned for this key in the graph that is traced here."""
        import tensorflow as tf

        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        place = (graph, *key)
        if place not in self._made:
            self._made[place] = make()
        return self._made[place]


# Those of the step that is traced in this thread; None outside a step.
_scalars: contextvars.ContextVar[_Scalars | None] = contextvars.ContextVar("scalars", default=None)


@contextlib.contextmanager
def whole_updates(model: keras.Model) -> Iterator[None]:
    """Have an optimiser of Adam's kind update each weight by one operation, inside a step.

    Only on TensorFlow, where its operations run one by one: XLA fuses them, and a distribution
    strategy wants to see them.

    Args:
        model: compiled; an optimiser other than Keras' Adam and AdamW stays as it is.
    """
    if not _is_traced_singly(model):
        yield
        return
    scalars = _Scalars()
    token = _scalars.set(scalars)
    try:
        with _replaced(getattr(model.optimizer, "inner_optimizer", model.optimizer), scalars):
            yield
    finally:
        _scalars.reset(token)


def _is_traced_singly(model: keras.Model) -> bool:
    if keras.backend.backend() != "tensorflow" or model.jit_compile:
        return False
    import tensorflow as tf

    return not tf.distribute.has_strategy()


@contextlib.contextmanager
def _replaced(optimizer: Any, scalars: _Scalars) -> Iterator[None]:
    """Have Adam take the decay off and update as here, inside; what is derived from it does not."""
    own = vars(optimizer)
    is_plain = type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
    # An optimiser has no functions of its own but such as somebody put there.
    is_own = any(inspect.isroutine(value) for value in own.values())
    if not is_plain or is_own or not knows_decay():
        yield
        return

    def update(gradient, variable, learning_rate):
        if optimizer.weight_decay is not None and is_decayed(optimizer, variable):
            share = _share(scalars, optimizer, learning_rate, variable.dtype)
            variable.assign_sub(variable * share)
        update_adam(optimizer, gradient, variable, learning_rate)

    own["update_step"] = update
    try:
        with without_decay(optimizer):
            yield
    finally:
        del own["update_step"]


def _share(scalars: _Scalars, optimizer: Any, learning_rate: Any, dtype: Any) -> Any:
    """Return what share of a weight its decay takes in a step."""

    def make():
        # The rate is handed out too, so that no other object gets its number.
        return ops.cast(learning_rate, dtype) * ops.cast(
            optimizer.weight_decay, dtype
        ), learning_rate

    return scalars.get(make, "share", id(learning_rate), dtype)[0]


def update_adam(
    optimizer: keras.optimizers.Adam, gradient: Any, variable: Any, learning_rate: Any
) -> None:
    """Update a weight as `keras.optimizers.Adam` does; by one operation inside `whole_updates`.

    Args:
        optimizer: an Adam, or derived from it.
        gradient: of the weight.
        variable: the weight, as `update_step` is given it.
        learning_rate: a scalar.
    """
    scalars = _scalars.get()
    is_known = scalars is not None and _is_known(optimizer, gradient, variable)
    moments = moments_of(optimizer, variable) if is_known else None
    if scalars is None or moments is None:
        keras.optimizers.Adam.update_step(optimizer, gradient, variable, learning_rate)
        return
    import tensorflow as tf

    dtype = variable.dtype
    decays, powers, epsilon = scalars.get(
        lambda: _constants(optimizer, dtype), "constants", id(optimizer), dtype
    )
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=moments[0].handle,
        v=moments[1].handle,
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=ops.cast(learning_rate, dtype),
        beta1=decays[0],
        beta2=decays[1],
        epsilon=epsilon,
        grad=ops.cast(gradient, dtype),
    )


def _is_known(optimizer: Any, gradient: Any, variable: Any) -> bool:
    """Tell whether TensorFlow's operation does what Keras does, but for roundings."""
    import tensorflow as tf

    is_dense = isinstance(gradient, tf.Tensor)
    return is_dense and not optimizer.amsgrad and variable.dtype in (tf.float32, tf.float64)


def _constants(optimizer: Any, dtype: Any) -> tuple:
    """Return the decays of Adam's means, their powers at this step, and epsilon."""
    step = ops.cast(optimizer.iterations + 1, dtype)
    # Not by `cast`, which brings a number of Python to float32 first.
    numbers = (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon)
    *decays, epsilon = (ops.convert_to_tensor(number, dtype) for number in numbers)
    return decays, [ops.power(decay, step) for decay in decays], epsilon
