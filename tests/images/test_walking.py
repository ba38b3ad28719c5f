"""Folders below a folder: each once, in an order that does not change, whatever links there are."""

import os
import pathlib
import time

import pytest

from kerasvit.errors import InputError
from kerasvit.images import inputs, resolve
from kerasvit.images.walking import walk
from kerasvit.training.data.folders import PictureFolder


@pytest.fixture
def classes(tmp_path, monkeypatch):
    """Two classes with two pictures each, and whatever else lies in folders."""
    monkeypatch.chdir(tmp_path)
    for name in ("pets/cat/00.jpg", "pets/cat/01.png", "pets/dog/00.jpg", "pets/dog/old/02.jpg"):
        pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(name).touch()
    return tmp_path


def found(*names, **options):
    result = inputs.find(names, **options)
    paths = [picture.path.as_posix() for picture in result.pictures]
    return paths, {entry.path.as_posix(): entry.reason for entry in result.left_out}


PETS = ["pets/cat/00.jpg", "pets/cat/01.png", "pets/dog/00.jpg", "pets/dog/old/02.jpg"]


def test_folders_are_gone_through_where_that_is_asked_for(classes):
    assert found("pets", recursive=True) == (PETS, {})
    with pytest.raises(InputError, match=r"2 of them folders \(go through them: --recursive\)"):
        found("pets")
    pathlib.Path("pets/top.png").touch()
    paths, left_out = found("pets")
    assert paths == ["pets/top.png"]
    assert set(left_out) == {"pets/cat", "pets/dog"}
    assert all("--recursive" in reason for reason in left_out.values())
    below = [picture.below for picture in inputs.find(["pets"], recursive=True).pictures]
    assert below == [("cat",), ("cat",), ("dog",), ("dog", "old"), ()]


def test_what_is_left_out_is_named_with_its_reason(classes):
    for name in ("notes.txt", "README", ".hidden.png", ".git/x.png", "clip.mp4", "__MACOSX/a.png"):
        pathlib.Path("pets", name).parent.mkdir(exist_ok=True)
        pathlib.Path("pets", name).touch()
    os.symlink("nowhere.png", "pets/broken.png")
    os.symlink("loop.png", "pets/loop.png")
    os.symlink("cat/00.jpg", "pets/again.jpg")
    os.mkfifo("pets/pipe.png")
    paths, left_out = found("pets", recursive=True)
    assert paths == PETS
    reasons = {name.removeprefix("pets/"): reason for name, reason in left_out.items()}
    assert reasons.pop(".git") == reasons.pop(".hidden.png") == reasons.pop("__MACOSX") == "hidden"
    assert ".txt" in reasons.pop("notes.txt")
    assert ".mp4" in reasons.pop("clip.mp4")
    assert reasons.pop("README") == "without an ending"
    assert "broken link" in reasons.pop("broken.png")
    assert "broken link" in reasons.pop("loop.png")
    assert reasons.pop("pipe.png") == "neither a file nor a folder"
    assert reasons == {"again.jpg": "the same file as 'pets/cat/00.jpg', by a link"}
    assert "pets/clip.mp4" in found("pets", recursive=True, more_suffixes=(".mp4",))[0]


def test_links_in_a_circle_end_at_once(classes):
    """Two links up made 2 to the 40th folders of two."""
    for name in ("cat/up", "cat/up2", "dog/up", "dog/old/up"):
        os.symlink("..", f"pets/{name}")
    os.symlink("../..", "pets/outside")
    os.symlink(".", "pets/cat/self")
    started = time.process_time()
    paths, left_out = found("pets", recursive=True)
    assert paths == PETS
    assert len(left_out) == 6
    assert {reason for reason in left_out.values()} == {
        "a folder that is gone through already, by a link to it"
    }
    assert [path.as_posix() for path in resolve(["pets/**/*.jpg"])] == [PETS[0], *PETS[2:]]
    folder = PictureFolder.scan("pets")
    assert len(folder) == 4
    assert time.process_time() - started < 2


def test_a_linked_folder_is_gone_through_by_its_own_path_if_it_has_one(classes):
    os.symlink("cat", "pets/a_link")
    os.makedirs("elsewhere/deep")
    pathlib.Path("elsewhere/deep/03.jpg").touch()
    os.symlink("../elsewhere", "pets/bird")
    paths, left_out = found("pets", recursive=True)
    assert paths == sorted([*PETS, "pets/bird/deep/03.jpg"])
    assert list(left_out) == ["pets/a_link"]
    assert PictureFolder.scan("pets").class_names == ("bird", "cat", "dog")


def test_a_folder_or_a_file_given_twice_counts_once(classes):
    assert found("pets", "./pets", "pets/cat/../cat", recursive=True)[0] == PETS
    paths, left_out = found(
        "pets/cat/00.jpg", str(classes / "pets/cat/00.jpg"), "pets/./cat/00.jpg"
    )
    assert paths == ["pets/cat/00.jpg"]
    assert left_out == {}
    os.link("pets/cat/00.jpg", "pets/cat/hard.jpg")
    assert len(found("pets/cat")[0]) == 3


def test_outputs_inside_the_inputs_are_no_inputs(classes):
    pathlib.Path("pets/out/cat").mkdir(parents=True)
    pathlib.Path("pets/out/cat/00.png").touch()
    paths, left_out = found("pets", recursive=True, outputs="pets/out")
    assert paths == PETS
    assert left_out == {"pets/out": "the folder of the outputs"}
    assert "pets/out/cat/00.png" in found("pets/out", recursive=True, outputs="pets/out")[0]


def test_a_folder_that_cannot_be_listed_is_left_out(classes, monkeypatch):
    listed = os.scandir

    def scandir(folder):
        if pathlib.Path(folder).name == "dog":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    paths, left_out = found("pets", recursive=True)
    assert paths == PETS[:2]
    assert left_out == {"pets/dog": "a folder that cannot be listed: Permission denied"}


@pytest.mark.parametrize("name", ["two\nlines", os.fsdecode(b"\xff\xfe"), "[x]", "-o", " "])
def test_names_of_folders_may_be_anything(classes, name):
    pathlib.Path("pets", name).mkdir()
    pathlib.Path("pets", name, f"{name}.png").touch()
    assert f"pets/{name}/{name}.png" in found("pets", recursive=True)[0]


def test_patterns_take_folders_too_where_they_are_gone_through(classes):
    assert found("pets/*", recursive=True)[0] == PETS
    with pytest.raises(InputError, match="--recursive"):
        found("pets/*")
    assert found("pets/**/0?.png")[0] == ["pets/cat/01.png"]
    assert found("pets/**/old/*")[0] == ["pets/dog/old/02.jpg"]


def test_pruning_and_deep_folders(tmp_path):
    folder = tmp_path
    for _ in range(120):
        folder = folder / "deep"
    os.makedirs(folder)
    assert sum(1 for _ in walk(tmp_path)) == 121
    count = 0
    for _, names, _ in walk(tmp_path):
        count += 1
        names.clear()
    assert count == 1
