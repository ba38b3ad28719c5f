"""LayerScale and stochastic depth: what acts on a residual branch before it is added."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from kerasvit.layers.base import PACKAGE, ConfiguredLayer, require_rate
from kerasvit.layers.primitives import lean_ops


@keras.saving.register_keras_serializable(PACKAGE)
class LayerScale(ConfiguredLayer):
    """Multiplies each channel of a residual branch by a learned factor.

    Args:
        init_value: float. Value that every factor starts from: 1e-5 in CaiT up to 24 blocks, 1e-6
            in deeper ones and in DeiT III.

    Call arguments:
        tokens: float tensor `(B, N, D)`.

    Returns:
        Tensor `(B, N, D)`.

    Source: Touvron et al. 2021, section 2.1 (https://arxiv.org/abs/2103.17239).
    """

    gamma: keras.Variable

    def __init__(self, init_value: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.init_value = init_value

    def build(self, input_shape):
        """Create the factors, one a channel."""
        self.gamma = self.add_weight(
            name="gamma",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.init_value),
        )
        self.built = True

    def call(self, tokens):
        """Scale the channels."""
        return tokens * lean_ops.weight_tensor(self.gamma)

    def compute_output_shape(self, input_shape):
        """Return the shape of the tokens, unchanged."""
        return input_shape


_rate_in_loop: contextvars.ContextVar[Any] = contextvars.ContextVar("rate_in_loop", default=None)


@contextlib.contextmanager
def rate_in_loop(rate: Any) -> Iterator[None]:
    """Drop at this rate inside, where one layer stands for those of many blocks.

    Args:
        rate: scalar tensor, above 0 where the layers' own rates are.
    """
    token = _rate_in_loop.set(rate)
    try:
        yield
    finally:
        _rate_in_loop.reset(token)


@keras.saving.register_keras_serializable(PACKAGE)
class StochasticDepth(ConfiguredLayer):
    """Drops the residual branch of whole samples while training, and rescales the others.

    A sample keeps its branch with probability `1 - rate`; kept branches are divided by that
    probability, so that the expectation is unchanged. Without training it is the identity.

    Args:
        rate: float in [0, 1), share of the samples whose branch is dropped.
        seed: int or None. Seed of the layer's own generator.

    Call arguments:
        tokens: float tensor `(B, ...)`; B may be unknown while tracing.
        training: bool or None, as in Keras.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: if `rate` lies outside [0, 1).

    Source: Huang et al. 2016 (https://arxiv.org/abs/1603.09382).
    """

    only_in_training = True

    def __init__(self, rate: float = 0.0, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.rate = require_rate("rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate > 0 else None

    def build(self, input_shape):
        """Mark the layer as built: it has no weights."""
        self.built = True

    def call(self, tokens, training=None):
        """Drop samples while training."""
        if not training or self.rate == 0.0:
            return tokens
        rate = _rate_in_loop.get()
        keep_probability = 1.0 - (self.rate if rate is None else rate)
        mask_shape = (ops.shape(tokens)[0],) + (1,) * (len(tokens.shape) - 1)
        uniform = keras.random.uniform(mask_shape, dtype="float32", seed=self.seed_generator)
        keep = ops.cast(uniform < keep_probability, tokens.dtype)
        return tokens * keep / ops.cast(keep_probability, tokens.dtype)

    def compute_output_shape(self, input_shape):
        """Return the shape of the tokens, unchanged."""
        return input_shape
