"""What comes before, and what holds, while a backend traces a training step."""

import contextlib
from collections.abc import Iterator

import keras

from kerasvit.layers.base import nested_layers
from kerasvit.layers.primitives.fusing import inside_compiled_step
from kerasvit.models.steps.whole_updates import whole_updates


@contextlib.contextmanager
def tracing_step(model: keras.Model) -> Iterator[None]:
    """Have the parts of a step fit together, inside.

    Args:
        model: compiled; the step is its own.
    """
    with inside_compiled_step(bool(model.jit_compile)), whole_updates(model):
        yield


def build_optimizer(model: keras.Model) -> None:
    """Make the variables of a model's optimiser before TensorFlow traces a step.

    A trace that makes variables is traced a second time without them, and takes twice as long.
    Where a derived class has layers whose weights a first call makes, that is left to Keras.

    Args:
        model: compiled, or not.
    """
    optimizer = getattr(model, "optimizer", None)
    if keras.backend.backend() != "tensorflow" or optimizer is None or optimizer.built:
        return
    if not all(layer.built for layer in nested_layers(model)):
        return
    with model.distribute_strategy.scope():
        optimizer.build(model.trainable_variables)
