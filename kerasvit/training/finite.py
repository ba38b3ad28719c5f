"""Whether training still makes sense: weights and losses that are finite numbers."""

import math

import keras
from keras import ops


def is_finite(model: keras.Model) -> bool:
    """Tell whether every weight that trains is a finite number."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()
    return all(bool(ops.all(ops.isfinite(variable))) for variable in model.trainable_variables)


class StopAtNaN(keras.callbacks.Callback):
    """Ends training at a loss that is not finite, and remembers that it did."""

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def on_train_batch_end(self, batch, logs=None):
        """Look at the mean loss so far, which stays NaN."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.found = True
            self.model.stop_training = True
