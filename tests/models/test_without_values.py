"""Weights that get no values, and never do."""

import math

import keras
import pytest

from kerasvit.errors import UsageError
from kerasvit.models.factory import create_model
from kerasvit.models.opening.without_values import without_values

pytestmark = pytest.mark.backend


@pytest.fixture
def drawn():
    """A list of the shapes of which `counted` made values."""
    return []


@pytest.fixture
def counted(drawn):
    """A built dense layer's maker; its kernel says when it gets values."""

    def initializer(shape, dtype=None):
        drawn.append(tuple(shape))
        return keras.ops.zeros(shape, dtype)

    def make():
        layer = keras.layers.Dense(3, kernel_initializer=initializer)
        layer.build((None, 2))
        return layer

    return make


def test_no_later_scope_gives_them_values(counted, drawn):
    layer = without_values(counted)
    with keras.StatelessScope():
        pass
    assert tuple(layer.kernel.shape) == (2, 3)
    assert drawn == []


def test_keras_own_scope_alone_does_not_keep_that(counted, drawn):
    """If this fails, Keras changed, and `without_values` needs no thread."""
    with keras.StatelessScope(initialize_variables=False):
        counted()
    with keras.StatelessScope():
        pass
    assert drawn == [(2, 3)]


def test_a_giant_has_its_facts():
    model = without_values(lambda: create_model("vit_gigantic_patch14_clip_224"))
    assert (model.hidden_dim, len(model.blocks)) == (1664, 48)
    assert sum(math.prod(weight.shape) for weight in model.weights) > 1.8e9


def test_what_is_raised_inside_comes_out():
    with pytest.raises(UsageError, match="no_such_model"):
        without_values(lambda: create_model("no_such_model"))
