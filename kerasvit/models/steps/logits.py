"""The steps of `fit` and `evaluate`: they see the logits alone, and no scores are made for them."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import keras

from kerasvit.models.fitting_images import check_given
from kerasvit.models.steps.tracing import build_optimizer, tracing_step
from kerasvit.private_names.fitting import without_tuning

# Methods in which a class may read its scores in a step.
_READS_SCORES = ("train_step", "test_step", "compute_loss", "compute_metrics")

# The model whose step runs in this thread.
_stepping: contextvars.ContextVar[Any] = contextvars.ContextVar("stepping", default=None)

if TYPE_CHECKING or keras.backend.backend() != "jax":
    from keras import Model as Base
else:
    from kerasvit.models.steps.joined_state import JoinedState as Base


class LogitSteps(Base):
    """What makes a `keras.Model` that returns `(logits, sa_scores, ca_scores)` train on the logits.

    A step runs as in `attention="none"`; the model itself, calls in between and `predict` stay as
    they are.

    Attributes:
        scores_in_steps: whether the scores are made in a step too. A class that has a step, a loss
            or metrics of its own may read them there, and has them unless it says False; one that
            reads them in a call of its own says True.
        loops_blocks: whether a step that JAX compiles has a loop over blocks that are alike, so
            that one of them is compiled. A class whose blocks are watched from outside says False.
    """

    scores_in_steps: ClassVar[bool] = False
    loops_blocks: ClassVar[bool] = True

    attention: str
    image_shape: Any

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        parent = next(base for base in cls.__mro__ if "scores_in_steps" in vars(base))
        if any(getattr(cls, name) is not getattr(parent, name, None) for name in _READS_SCORES):
            cls.scores_in_steps = True

    @property
    def returned_scores(self) -> str:
        """What a call returns here and now: `attention`, or "none" in a step of `fit`."""
        return "none" if _stepping.get() is self else self.attention

    @property
    def loops_here(self) -> bool:
        """Whether blocks that are alike are a loop here and now: in a step that JAX compiles.

        Weights that lie on many devices are left where they are.
        """
        return (
            _stepping.get() is self
            and self.loops_blocks
            and bool(self.jit_compile)
            and keras.backend.backend() == "jax"
            and keras.distribution.distribution() is None
        )

    @property
    def steps_are_loops(self) -> bool:
        """Whether each step of `fit` is this class's own, and a loop over blocks that are alike."""
        own = type(self)
        is_own = all(
            getattr(own, name, None) is getattr(LogitSteps, name, None)
            for name in ("train_step", "compute_loss_and_updates", "jax_state_sync")
        )
        with self._without_scores():
            return is_own and self.loops_here

    @contextlib.contextmanager
    def _without_scores(self) -> Iterator[None]:
        token = _stepping.set(None if self.scores_in_steps else self)
        try:
            yield
        finally:
            _stepping.reset(token)

    def fit(self, x=None, *args, **kwargs):
        """Train as Keras does; images that do not fit are named before the first batch is made."""
        check_given(x, self.image_shape)
        build_optimizer(self)
        with without_tuning():
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluate as Keras does; see `fit` for images that do not fit."""
        check_given(x, self.image_shape)
        with without_tuning():
            return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Return the outputs of many images as arrays, as Keras does; see `fit`."""
        check_given(x, self.image_shape)
        with without_tuning():
            return super().predict(x, *args, **kwargs)

    def train_step(self, *args, **kwargs):
        """Take a step of `fit`; the arguments are those of the backend."""
        with self._without_scores(), tracing_step(self):
            return super().train_step(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        """Take a step of `evaluate`; the arguments are those of the backend."""
        with self._without_scores():
            return super().test_step(*args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Compute the loss of the logits; scores are no targets."""
        return super().compute_loss(
            x=x, y=y, y_pred=y_pred[0], sample_weight=sample_weight, training=training
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update the metrics with the logits."""
        return super().compute_metrics(x, y, y_pred[0], sample_weight=sample_weight)
