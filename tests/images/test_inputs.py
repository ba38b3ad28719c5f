"""What a user types becomes the right list of files, or one clear line."""

import os
import pathlib

import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.images import resolve, sample


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("pics/sub.jpg")
    os.makedirs("empty")
    for name in ["b.JPG", "A.png", "c.jpeg", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF"]:
        pathlib.Path("pics", name).touch()
    for name in ["notes.txt", ".hidden.png", "pics.jpg.part"]:
        pathlib.Path("pics", name).touch()
    pathlib.Path("pics/sub.jpg/z.png").touch()
    return tmp_path


ALL = ["A.png", "b.JPG", "c.jpeg", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF"]


def paths(*names):
    return [pathlib.Path("pics", name) for name in names]


def test_a_folder_gives_its_pictures_sorted_without_case(folder):
    assert resolve(["pics"]) == paths(*ALL)
    assert resolve([str(folder / "pics")]) == [folder / "pics" / name for name in ALL]


def test_a_file_is_taken_whatever_its_suffix(folder):
    assert resolve(["pics/notes.txt", "pics/b.JPG"]) == paths("notes.txt", "b.JPG")


def test_patterns(folder):
    assert resolve(["pics/*"]) == paths(*ALL)
    assert resolve(["pics/[ab].*"]) == paths("A.png", "b.JPG")[1:]
    assert resolve(["pics/?.png"]) == paths("A.png")
    assert resolve(["**/*.png"]) == paths("A.png", "sub.jpg/z.png")


def test_the_order_of_the_inputs_is_kept_and_nothing_comes_twice(folder):
    expected = paths("h.TIFF", "A.png", "b.JPG", "c.jpeg", "d.webp", "e.gif", "f.bmp", "g.tif")
    assert resolve(["pics/h.TIFF", "pics", "pics/*.png"]) == expected


def test_a_file_whose_name_looks_like_a_pattern(folder):
    pathlib.Path("[x].png").touch()
    assert resolve(["[x].png"]) == [pathlib.Path("[x].png")]


@pytest.mark.parametrize(
    "text",
    [
        "missing.jpg",
        "pics/missing/a.jpg",
        "empty",
        "*.xyz",
        "empty/*",
        "a" * 300,
        "nul\0",
        "nul\0*",
        "",
    ],
)
def test_nothing_found(folder, text):
    with pytest.raises(InputError) as caught:
        resolve(["pics/A.png", text])
    message = str(caught.value)
    assert repr(text) in message
    assert "\n" not in message


def test_samples(folder):
    pytest.importorskip("skimage")
    assert resolve(["sample:chelsea", "pics/A.png"]) == [sample("chelsea"), *paths("A.png")]
    with pytest.raises(UsageError, match="chelsea"):
        resolve(["sample:tiger"])
