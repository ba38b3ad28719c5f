"""What `fit`, `evaluate` and `predict` of Keras keep to themselves."""

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Any

import keras

from kerasvit.private_names.lookup import name_in, warn

_LEAVES_TUNING: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "leaves_tuning", default=False
)


@contextlib.contextmanager
def without_tuning() -> Iterator[None]:
    """Have TensorFlow tune no data set that Keras reads inside, in this thread.

    Its tuning thread sleeps 0.01, 0.02, 0.04 ... 60 s. When an iterator ends it wakes the thread
    before it says that it has ended (`CancellationManager::StartCancel`, 2.21), so that the thread
    may go to sleep again, and the end of an epoch, an evaluation or a prediction waits for it: 2.4
    of 5.1 s, by a debugger. A data set whose options say something of tuning keeps them, and one
    that a `tf.distribute` strategy has taken apart is tuned.
    """
    if keras.backend.backend() == "tensorflow":
        _leave_tuning()
    token = _LEAVES_TUNING.set(True)
    try:
        yield
    finally:
        _LEAVES_TUNING.reset(token)


@functools.cache
def _leave_tuning() -> None:
    import tensorflow as tf

    reader = name_in("keras.src.backend.tensorflow.trainer", "TFEpochIterator")
    own = getattr(reader, "_get_iterator", None)
    if own is None:
        return warn("an epoch on TensorFlow may end seconds late")

    def get_iterator(self: Any) -> Any:
        dataset = own(self)
        is_plain = isinstance(dataset, tf.data.Dataset)
        if (
            not (_LEAVES_TUNING.get() and is_plain)
            or dataset.options().autotune.enabled is not None
        ):
            return dataset
        options = tf.data.Options()
        options.autotune.enabled = False
        return dataset.with_options(options)

    reader._get_iterator = get_iterator
    return None


# What follows where one of these is missing.
_LATE = "the optimiser is traced or compiled weight by weight: the first step of `fit` takes longer"
# Of a model on JAX: the state of `fit` while it is apart from the weights, and whether it is not.
_OF_STATES = ("_jax_state", "_jax_state_synced")
# Of every optimiser: whether a weight is decayed, and the decay of all.
_OF_OPTIMIZERS = ("_use_weight_decay", "_apply_weight_decay")
# Of Adam: the running means of gradients and of their squares.
_OF_ADAM = ("_momentums", "_velocities")


def knows_decay() -> bool:
    """Tell whether `is_decayed` and `without_decay` know what they do; warn once if not."""
    knows = all(hasattr(keras.optimizers.Optimizer, name) for name in _OF_OPTIMIZERS)
    if not knows:
        warn(_LATE)
    return knows


def knows_state() -> bool:
    """Tell whether `state_apart` and `is_decayed` can be asked; warn once if not."""
    sync = getattr(keras.Model, "jax_state_sync", None)
    code = getattr(sync, "__code__", None)
    words = {*code.co_names, *code.co_consts} if code else set()
    knows = words.issuperset(_OF_STATES) and knows_decay()
    if not knows:
        warn(_LATE)
    return knows


@contextlib.contextmanager
def without_decay(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Have an optimiser decay no weights of its own accord, inside.

    Args:
        optimizer: of Keras, with no method of its own in the place of that one.
    """
    own = vars(optimizer)
    own[_OF_OPTIMIZERS[1]] = lambda variables: None
    try:
        yield
    finally:
        del own[_OF_OPTIMIZERS[1]]


def moments_of(optimizer: keras.optimizers.Adam, handed: Any) -> tuple[Any, Any] | None:
    """Return the two means that Adam keeps of a weight's gradient, as TensorFlow's own variables.

    Args:
        optimizer: made for the weight.
        handed: the weight as `update_step` is given it.
    """
    index_of = getattr(optimizer, "_get_variable_index", None)
    if index_of is None or not all(hasattr(optimizer, name) for name in _OF_ADAM):
        warn(_LATE)
        return None
    index = index_of(handed)
    mean, square = (getattr(optimizer, name)[index].value for name in _OF_ADAM)
    return mean, square


def state_apart(model: keras.Model) -> dict[str, Any] | None:
    """Return the state of `fit` that a model's weights do not have yet, which may be changed."""
    is_apart = not getattr(model, _OF_STATES[1], True)
    return getattr(model, _OF_STATES[0], None) if is_apart else None


def forget_state(model: keras.Model) -> None:
    """Drop the state that a model's weights had last, before they get another."""
    if getattr(model, _OF_STATES[0], None) is not None:
        setattr(model, _OF_STATES[0], None)


def is_decayed(optimizer: keras.optimizers.Optimizer, weight: keras.Variable) -> bool:
    """Tell whether an optimiser that decays weights decays this one."""
    return bool(getattr(optimizer, _OF_OPTIMIZERS[0])(weight))
