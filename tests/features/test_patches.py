import keras
import numpy as np
import pytest
from breadth import spread
from feature_pictures import make_features

import kerasvit
from kerasvit import features
from kerasvit.errors import InputError, UsageError
from kerasvit.features import PatchFeatures
from kerasvit.images.geometry import Geometry

SMALL = {"hidden_dim": 12, "num_layers": 2, "num_heads": 2, "mlp_dim": 8, "patch_size": 8}
MODELS = {
    "distilled": lambda **own: kerasvit.VisionTransformer(
        **SMALL, **own, num_classes=3, use_distillation_token=True
    ),
    "registers": lambda **own: kerasvit.VisionTransformer(**SMALL, **own, num_registers=3),
    "average": lambda **own: kerasvit.VisionTransformer(
        **SMALL, **own, num_classes=3, pooling="average"
    ),
    "cait": lambda **own: kerasvit.CaiT(**SMALL, **own, num_classes=3, num_class_layers=1),
}


@pytest.fixture
def pictures():
    random = np.random.default_rng(4)
    return [random.integers(0, 255, (*size, 3), dtype=np.uint8) for size in ((40, 90), (70, 60))]


@pytest.mark.parametrize("kind", spread(MODELS, MODELS, on_backends=["distilled"]))
def test_the_patches_alone_in_their_places(kind, pictures, preprocessing_record):
    record = {"preprocessing": preprocessing_record(16, 16)}
    model = MODELS[kind](image_shape=(16, 16, 3), record=record)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.3, weight.shape).astype("float32"))
    for number, found in enumerate(features.extract(model, pictures, resize=24, block=0)):
        size = found.geometry.input_size
        prepared = kerasvit.images.Preprocessing.from_dict(record["preprocessing"]).keep_aspect(
            pictures[number], 24, patch_size=(8, 8)
        )
        layout = model.token_layout(size)
        assert found.grid == layout.grid != (2, 2)
        (tokens,) = model.features(prepared.pixels[None], blocks=[0])
        tokens = keras.ops.convert_to_numpy(tokens)[0, layout.num_prefix :]
        np.testing.assert_allclose(found.rows, tokens, atol=1e-5)
        assert found.image is not None
        assert found.image.shape == pictures[number].shape


def test_pixels_and_patches_find_one_another():
    # The model saw rows 20 to 80 and columns 10 to 110 of 100x120.
    geometry = Geometry((100, 120), (20.0, 10.0, 80.0, 110.0), (12, 20))
    values = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    found = PatchFeatures(values, geometry, name="cut")
    every = np.array([(row, column) for row in range(3) for column in range(5)])
    centres = found.centres(every)
    np.testing.assert_allclose(centres[0], [30, 20])
    np.testing.assert_allclose(centres[-1], [70, 100])
    assert [found.patch_at(tuple(np.floor(place))) for place in centres] == [*map(tuple, every)]
    assert found.patch_at((20, 10)) == (0, 0)
    assert found.patch_at((79, 109)) == (2, 4)
    for pixel in ((19, 50), (80, 50), (50, 9), (50, 110)):
        with pytest.raises(UsageError, match=r"rows 20 to 80.*'cut'"):
            found.patch_at(pixel)


def test_what_are_no_features():
    with pytest.raises(InputError, match="axes"):
        make_features(np.zeros((3, 2, 0)))
    with pytest.raises(InputError, match="NaN"):
        make_features(np.full((2, 2, 2), np.nan))
    zeros = make_features(np.zeros((2, 2, 3)))
    assert (zeros.directions == 0).all()
