import dataclasses

import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError, UsageError
from kerasvit.images import Preprocessing
from kerasvit.training.data.features import preprocessing_of, run_pictures
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.subsets import select

PREPROCESSING = Preprocessing((8, 8), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def model():
    return kerasvit.VisionTransformer(
        image_shape=(8, 8, 3),
        patch_size=4,
        hidden_dim=16,
        num_layers=1,
        num_heads=2,
        mlp_dim=16,
        num_classes=3,
        attention="none",
        record={"preprocessing": PREPROCESSING.to_dict()},
    )


@pytest.fixture
def folder(coloured):
    return PictureFolder.scan(coloured, "train")


@pytest.mark.backend
def test_outputs_do_not_depend_on_the_batches(model, folder):
    advanced = []
    outputs, kept = run_pictures(model, PREPROCESSING, folder, 7, advanced.append)
    assert advanced == [7, 7, 7, 3]
    assert kept.tolist() == list(range(24))
    pixels = [PREPROCESSING.evaluate(folder.read(index)).pixels for index in range(24)]
    expected = np.asarray(model.predict_on_batch(np.stack(pixels))[0])
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_broken_pictures_are_left_out_and_named(model, folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    paths = [*folder.paths]
    paths[0] = paths[5] = tmp_path / "broken.png"
    damaged = dataclasses.replace(folder, paths=paths)
    outputs, kept = run_pictures(model, PREPROCESSING, damaged, 4)
    whole, _ = run_pictures(model, PREPROCESSING, folder, 4)
    assert kept.tolist() == [1, 2, 3, 4, *range(6, 24)]
    np.testing.assert_allclose(outputs, whole[kept], atol=1e-5)
    assert [path for path, _ in damaged.broken] == [str(tmp_path / "broken.png")]
    with pytest.raises(InputError, match="must be a picture that can be read"):
        run_pictures(model, PREPROCESSING, select(damaged, np.array([0, 5])))


def test_the_record_says_how_pictures_are_prepared(model):
    assert preprocessing_of(model) == PREPROCESSING
    assert preprocessing_of(model, (12, 16)).image_size == (12, 16)
    with pytest.raises(UsageError, match="must fill the image"):
        preprocessing_of(model, (12, 18))
