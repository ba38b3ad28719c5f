import dataclasses

import pytest
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.models.family import FamilyFacts
from kerasvit.training.data.class_labels import imagenet_wnids, scan_for


@dataclasses.dataclass
class Model(FamilyFacts):
    """What of a model matters here."""

    num_classes: int
    record: dict = dataclasses.field(default_factory=dict)


def _write(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)


def test_the_numbers_of_imagenet_are_timms(timm):
    info = timm.data.ImageNetInfo()
    assert imagenet_wnids() == tuple(info.label_names())


def test_folders_are_found_by_the_models_names_in_its_order(tmp_path):
    _write(tmp_path / "cat" / "0.png", tmp_path / "ant" / "0.png")
    folder = scan_for(Model(3, {"class_names": ["dog", "cat", "ant"]}), tmp_path)
    found = {
        path.parent.name: label for path, label in zip(folder.paths, folder.labels, strict=True)
    }
    assert found == {"cat": 1, "ant": 2}


def test_folders_are_found_by_the_numbers_of_imagenet(tmp_path):
    _write(tmp_path / "val" / "n01440764" / "0.JPEG", tmp_path / "val" / "n15075141" / "0.JPEG")
    names = [f"description {number}" for number in range(1000)]
    for model in (Model(1000), Model(1000, {"class_names": names})):
        assert scan_for(model, tmp_path, "val").labels.tolist() == [0, 999]


def test_pictures_named_by_the_numbers_of_imagenet_need_no_folders(tmp_path):
    _write(tmp_path / "n01440764_tench.JPEG", tmp_path / "n07892512_red_wine.JPEG")
    _write(tmp_path / "orange_cat.jpg", tmp_path / "n99999999_nothing.jpg")
    folder = scan_for(Model(1000), tmp_path)
    assert [imagenet_wnids()[label] for label in folder.labels] == ["n01440764", "n07892512"]


@pytest.mark.data
def test_the_shared_photographs_have_their_classes(data_dir):
    folder = scan_for(Model(1000), data_dir / "images")
    assert len(folder) == 24
    for path, label in zip(folder.paths, folder.labels, strict=True):
        assert path.name.startswith(imagenet_wnids()[label])


def test_without_names_the_sorted_folders_are_the_outputs(tmp_path):
    _write(tmp_path / "b" / "0.png", tmp_path / "a" / "0.png")
    assert scan_for(Model(2), tmp_path).class_names == ("a", "b")
    with pytest.raises(InputError, match="3 classes without names"):
        scan_for(Model(3), tmp_path)


def test_folders_that_are_no_classes_are_named(tmp_path):
    _write(tmp_path / "cat" / "0.png", tmp_path / "emu" / "0.png")
    with pytest.raises(InputError, match="Received: 'emu'"):
        scan_for(Model(2, {"class_names": ["dog", "cat"]}), tmp_path)
    with pytest.raises(InputError, match="Received: 'cat', 'emu'"):
        scan_for(Model(1000), tmp_path)


def test_a_model_without_a_head_has_no_classes(tmp_path):
    with pytest.raises(UsageError, match="no classes"):
        scan_for(Model(0), tmp_path)
