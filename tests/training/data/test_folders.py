import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.training.data.folders import PictureFolder


def _write(path, colour=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), colour).save(path)


@pytest.fixture
def animals(tmp_path):
    root = tmp_path / "animals"
    for number, name in enumerate(("dog", "cat", "emu")):
        for picture in range(number + 1):
            _write(root / name / f"{picture}.png", (number, picture, 0))
    return root


def _zipped(folder, path, prefix=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def test_classes_are_sorted_and_every_picture_has_its_folders_label(animals):
    folder = PictureFolder.scan(animals)
    assert folder.class_names == ("cat", "dog", "emu")
    assert len(folder) == 6
    for path, label in zip(folder.paths, folder.labels, strict=True):
        assert path.parent.name == folder.class_names[label]


@pytest.mark.parametrize("prefix", ["", "everything/"])
def test_zip_reads_as_the_folder_does(animals, tmp_path, prefix):
    plain = PictureFolder.scan(animals)
    packed = PictureFolder.scan(_zipped(animals, tmp_path / "animals.zip", prefix))
    packed = pickle.loads(pickle.dumps(packed))
    assert packed.class_names == plain.class_names
    np.testing.assert_array_equal(packed.labels, plain.labels)
    for index in range(len(plain)):
        np.testing.assert_array_equal(packed.read(index), plain.read(index))


def test_split_is_chosen_by_name(animals):
    _write(animals.parent / "all" / "train" / "a" / "0.png")
    _write(animals.parent / "all" / "train" / "b" / "0.png")
    _write(animals.parent / "all" / "test" / "b" / "0.png")
    root = animals.parent / "all"
    assert PictureFolder.scan(root, "train").class_names == ("a", "b")
    assert list(PictureFolder.scan(root, "test", class_names=("a", "b")).labels) == [1]
    with pytest.raises(InputError, match="holds splits"):
        PictureFolder.scan(root)
    with pytest.raises(InputError, match="no folder 'val'"):
        PictureFolder.scan(root, "val")


def test_hidden_files_and_other_files_are_passed_over(animals):
    (animals / "cat" / "notes.txt").write_text("no picture")
    _write(animals / "cat" / ".thumbnail.png")
    _write(animals / ".cache" / "x.png")
    assert len(PictureFolder.scan(animals)) == 6


def test_empty_class_is_named(animals):
    (animals / "fox").mkdir()
    with pytest.raises(InputError, match=r"class without pictures.*'fox'"):
        PictureFolder.scan(animals)


def test_empty_class_of_a_zip_is_named(animals, tmp_path):
    (animals / "fox").mkdir()
    with pytest.raises(InputError, match="'fox'"):
        PictureFolder.scan(_zipped(animals, tmp_path / "animals.zip"))


def test_one_class_is_refused_unless_the_classes_are_given(tmp_path):
    _write(tmp_path / "cat" / "0.png")
    with pytest.raises(InputError, match="one class"):
        PictureFolder.scan(tmp_path)
    assert list(PictureFolder.scan(tmp_path, class_names=("ant", "cat")).labels) == [1]


def test_folder_that_is_no_known_class_is_named(animals):
    with pytest.raises(InputError, match="Received: 'emu'"):
        PictureFolder.scan(animals, class_names=("dog", "cat"))


@pytest.mark.parametrize("make", ["nothing", "flat", "empty", "text", "zip"])
def test_path_without_classes_is_refused(tmp_path, make):
    path = tmp_path / "x"
    if make == "flat":
        _write(path / "0.png")
    elif make == "empty":
        (path / "a").mkdir(parents=True)
        (path / "b").mkdir()
    elif make == "text":
        path.write_text("hello")
    elif make == "zip":
        with zipfile.ZipFile(path, "w"):
            pass
    with pytest.raises(InputError, match=repr(str(path))):
        PictureFolder.scan(path)


def test_broken_picture_is_named_once_and_skipped(animals, tmp_path):
    broken = animals / "dog" / "0.png"
    broken.write_bytes(broken.read_bytes()[:40])
    for path in (animals, _zipped(animals, tmp_path / "animals.zip")):
        folder = PictureFolder.scan(path)
        read = [folder.try_read(index) for index in (*range(6), *range(6))]
        assert sum(picture is None for picture in read) == 2
        ((name, reason),) = folder.broken
        assert name.endswith("dog/0.png")
        assert "dog/0.png" in reason
        with pytest.raises(InputError, match="dog/0"):
            folder.read([str(path) for path in folder.paths].index(name))


@pytest.mark.parametrize("labels", [[0], [0, 2], [0, -1], [[0, 1]]])
def test_labels_must_fit_paths_and_names(labels):
    with pytest.raises(InputError, match="one label for each picture"):
        PictureFolder(["a.png", "b.png"], labels, ("a", "b"))
