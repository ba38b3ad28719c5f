"""Files that earlier versions saved still load, and give what they gave."""

import pathlib
import sys
import tarfile

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.models import CaiT, VisionTransformer
from kerasvit.releases import list_releases

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import saved_before  # noqa: E402

sys.path.remove(str(GOLDEN))
FAMILIES = {"vit": VisionTransformer, "deit": VisionTransformer, "cait": CaiT}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("saved_before")
    with tarfile.open(GOLDEN / "saved_before.tar.xz") as archive:
        archive.extractall(place, filter="data")
    return place


def _assert_as_before(model, folder, name):
    outputs = saved_before.outputs(model)
    with np.load(folder / "outputs.npz") as stored:
        keys = {key for key in stored.files if key.startswith(f"{name}/")}
        assert {f"{name}/{key}" for key in outputs} == keys
        for key, values in outputs.items():
            expected = stored[f"{name}/{key}"]
            assert np.abs(values - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.backend
@pytest.mark.parametrize("name", FAMILIES)
def test_a_whole_model_saved_before_is_the_same_today(folder, name):
    model = keras.saving.load_model(folder / f"{name}.keras")
    assert type(model) is FAMILIES[name]
    arguments = {**saved_before.TINY, **saved_before.SAVED[name]}
    kept = {key: getattr(model, key) for key in arguments}
    assert kept == {**arguments, "patch_size": (8, 8)}
    assert model.name == name
    _assert_as_before(model, folder, name)


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_saved_before_go_into_a_model_of_today(folder, name):
    model = FAMILIES[name](**saved_before.TINY, **saved_before.SAVED[name])
    model.load_weights(folder / f"{name}.weights.h5")
    _assert_as_before(model, folder, name)


@pytest.mark.parametrize("name", [release.name for release in list_releases() if release.embedded])
def test_the_packaged_models_load_as_they_lie_there(name):
    path = pathlib.Path(kerasvit.__file__).parent / "pretrained" / f"{name}.keras"
    model = keras.saving.load_model(path)
    assert len(model.record["class_names"]) == model.num_classes == 10
