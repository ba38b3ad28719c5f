import os

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, OutputError
from kerasvit.render.files import write_npz, write_png


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "no suffix", "a.jpg"])
def test_a_picture_is_written_without_loss(tmp_path, picture, name):
    for image in (picture, Image.fromarray(picture)):
        write_png(tmp_path / name, image, overwrite=True)
        with Image.open(tmp_path / name) as read:
            assert read.format == "PNG"
            np.testing.assert_array_equal(np.asarray(read), picture)
    assert os.listdir(tmp_path) == [name]


def test_equal_pictures_give_equal_bytes(tmp_path, picture):
    write_png(tmp_path / "a.png", picture)
    write_png(tmp_path / "b.png", picture)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_arrays_are_written_under_their_names(tmp_path, picture):
    write_npz(tmp_path / "a", {"picture": picture, "text": np.array("né")})
    with np.load(tmp_path / "a", allow_pickle=False) as read:
        assert read.files == ["picture", "text"]  # on NumPy 1.26 too
        np.testing.assert_array_equal(read["picture"], picture)
        assert str(read["text"]) == "né"
    assert os.listdir(tmp_path) == ["a"]


def test_existing_files_are_kept_unless_overwriting_is_asked_for(tmp_path, picture):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        write_png(path, picture)
    with pytest.raises(OutputError, match="exists"):
        write_npz(path, {"picture": picture})
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_what_is_no_picture_leaves_no_file(tmp_path, picture):
    for wrong in (picture.astype(float), picture[..., 0], picture[..., :2]):
        with pytest.raises(InputError, match="uint8"):
            write_png(tmp_path / "a.png", wrong)
    with pytest.raises(ValueError, match="no objects"):
        write_npz(tmp_path / "a.npz", {"objects": np.array([object()])})
    assert os.listdir(tmp_path) == []
