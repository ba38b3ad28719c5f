"""Models as keras-hub's: what keras-hub loads computes what ours does, and comes back as ours."""

import keras
import numpy as np
import pytest

import kerasvit

keras_hub = pytest.importorskip("keras_hub", reason="needs the extra keras-hub")

pytestmark = pytest.mark.backend

SMALL = {
    "hidden_dim": 24,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 32,
    "image_shape": (16, 24, 3),
}
KINDS = {
    "cait": ("cait_xxs24_224", {"patch_size": 8, "num_class_layers": 1, "num_classes": 4}),
    "distilled": ("deit_tiny_distilled_patch16_224", {"patch_size": 8, "num_classes": 4}),
    "features": ("vit_small_patch14_dinov2", {"patch_size": 8, "num_classes": 0}),
}


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(params=KINDS)
def model(request):
    name, arguments = KINDS[request.param]
    model = kerasvit.create_model(name, **{**SMALL, **arguments})
    random = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.3, weight.shape).astype("float32"))
    model.record = {"licence": "MIT", "class_names": list("abcd")}
    return model


def test_a_preset_is_the_same_model_there_and_here(model, tmp_path):
    from kerasvit.models.opening.keras_hub import write_preset

    images = np.random.default_rng(2).normal(size=(2, 16, 24, 3)).astype("float32")
    write_preset(model, tmp_path / "preset")
    backbone = keras_hub.models.Backbone.from_preset(str(tmp_path / "preset"))
    np.testing.assert_allclose(array(backbone(images)), array(model.features(images)), atol=1e-5)
    if model.num_classes:
        classifier = keras_hub.models.ImageClassifier.from_preset(str(tmp_path / "preset"))
        wanted = array(model.classifying()(images)[0])
        np.testing.assert_allclose(array(classifier(images)), wanted, atol=1e-5)
        classifier.backbone.trainable = False
        classifier.compile()
        classifier.fit(images, np.array([0, 1]), shuffle=False, verbose=0)
        assert 1 <= len(classifier.trainable_variables) <= 4  # its heads
    back = kerasvit.from_pretrained(tmp_path / "preset")
    assert back.record == model.record
    for weight, other in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_head_of_another_size_is_refused():
    from kerasvit.models.opening.keras_hub import ScoreBackbone, ScoreImageClassifier

    model = kerasvit.create_model("vit_nano_patch4_32", num_classes=3)
    with pytest.raises(kerasvit.errors.UsageError, match="num_classes=5, a model with 3"):
        ScoreImageClassifier(ScoreBackbone(model), num_classes=5)
