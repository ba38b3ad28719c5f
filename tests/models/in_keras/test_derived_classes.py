"""Classes that derive from ours add layers in their constructors, as from any Keras model."""

import keras
import numpy as np
import pytest

from kerasvit.models import CaiT, VisionTransformer

pytestmark = pytest.mark.backend

SIZES = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 1,
    "num_heads": 3,
    "mlp_dim": 20,
}


def _register(cls):
    return keras.saving.register_keras_serializable("tests.derived")(cls)


class _Heads:
    """Two more heads beside the model's own: one made before its constructor, one after."""

    def __init__(self, width=4, **kwargs):
        self.width = width
        self.first = keras.layers.Dense(width, name="first")
        super().__init__(**kwargs)
        self.further = [keras.layers.Dense(width, name=f"further_{index}") for index in range(2)]

    def get_config(self):
        return {**super().get_config(), "width": self.width}

    def call(self, images, training=None):
        logits, sa_scores, ca_scores = super().call(images, training)
        outputs = self.first(logits)
        for layer in self.further:
            outputs = layer(outputs)
        self.seen = sorted((*sa_scores, *ca_scores))
        return outputs, sa_scores, ca_scores


@_register
class MyViT(_Heads, VisionTransformer):
    """A ViT of somebody else."""


@_register
class MyCaiT(_Heads, CaiT):
    """A CaiT of somebody else that wants its scores in a step."""

    scores_in_steps = True


@pytest.mark.parametrize("model_type", [MyViT, MyCaiT])
def test_it_trains_is_saved_and_has_views(tools, images, tmp_path, model_type):
    model = model_type(**SIZES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(images, np.array([1, 3]), verbose=0)
    assert bool(model.seen) is model_type.scores_in_steps
    expected = tools.run(model, images)
    assert expected[0].shape == (2, 4)
    added = {layer.name for layer in (model.first, *model.further)}
    assert added == {"first", "further_0", "further_1"} <= {layer.name for layer in model.layers}

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert tools.same_weights(loaded, model)
    tools.assert_close(tools.run(loaded, images), expected)

    view = model.with_attention("none")
    assert len(view.weights) == len(model.weights)
    assert view.further[1] is model.further[1]
    tools.assert_close(tools.run(view, images)[0], expected[0])
    loaded.fit(images, np.array([1, 3]), verbose=0)


def test_a_view_made_before_the_first_call_shares_the_layers_too(tools, images):
    model = MyViT(**SIZES)
    view = model.with_attention("none")
    tools.assert_close(tools.run(view, images)[0], tools.run(model, images)[0])
