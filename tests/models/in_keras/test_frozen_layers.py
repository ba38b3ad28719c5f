"""Frozen layers stay frozen in files, copies and views, and the optimizer goes on with them."""

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backend

FAMILIES = {"ViT": {"num_layers": 2}, "CaiT": {"num_layers": 1, "num_class_layers": 1}}


def _data(tools):
    return tools.random_images(4, seed=5), np.arange(4)


def _compile(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


def _frozen(tools, family):
    """Return a model whose head alone learns, and a norm inside a frozen block."""
    model = tools.make(family, **FAMILIES[family])
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.blocks[0].mlp_norm.trainable = True
    return model


def _flags(model):
    return [layer.trainable for layer in model._flatten_layers()]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(tools, tmp_path, family):
    data = _data(tools)
    model = _compile(_frozen(tools, family))
    count = len(model.trainable_variables)
    model.fit(*data, batch_size=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    # Keras warns, which is an error here, where the optimizer's state does not fit.
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert _flags(loaded) == _flags(model)
    assert len(loaded.trainable_variables) == count < len(model.variables)
    for each in (model, loaded):
        each.fit(*data, batch_size=2, shuffle=False, verbose=0)
    tools.assert_close(loaded.get_weights(), model.get_weights())
    tools.assert_close(
        *([np.array(v) for v in each.optimizer.variables] for each in (loaded, model))
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_clones_and_views_are_frozen_alike(tools, family):
    model = _frozen(tools, family)
    for other in (keras.models.clone_model(model), model.with_attention("none")):
        assert _flags(other) == _flags(model)
        assert len(other.trainable_variables) == len(model.trainable_variables)
    backbone = model.headless()
    assert len(backbone.trainable_variables) == len(model.blocks[0].mlp_norm.weights)


def test_a_model_that_is_frozen_as_a_whole_can_be_thawed_after_loading(tools, tmp_path):
    model = tools.make("ViT", num_layers=1)
    model.trainable = False
    assert not model.with_attention("cls").trainable
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not any(_flags(loaded))
    assert not loaded.trainable_variables
    loaded.trainable = True
    assert all(_flags(loaded))
    assert len(loaded.trainable_variables) == len(model.weights)


def test_a_config_without_frozen_layers_is_as_it_always_was(tools):
    assert "trainable_layers" not in tools.make("CaiT").get_config()
