"""Folders as they are: sub-folders in the outputs' paths, what is left out, parts, killed runs."""

import collections
import io
import json
import os
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

from kerasvit import look
from kerasvit.cli import main
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images.inputs import PictureFile
from kerasvit.look.planning.places import Shard, output_places

FAST = {"formats": "npz", "method": "attention"}


def save(path, seed=0):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((48, 32)).save(path)
    return path


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """Two classes whose pictures have the same names, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("cat/00.jpg", "cat/01.jpg", "dog/00.jpg", "dog/old/00.jpg")):
        save(f"pets/{name}", number)
    pathlib.Path("pets/notes.txt").write_text("x")
    return pathlib.Path("pets")


def files_of(folder, suffix=".npz"):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}"))


def manifest(folder, name="manifest.json"):
    return json.loads(pathlib.Path(folder, name).read_text())


ALL = ["cat/00.npz", "cat/01.npz", "dog/00.npz", "dog/old/00.npz"]


def test_sub_folders_come_back_in_the_outputs_and_what_is_left_out_is_on_record(
    shipped, pets, tmp_path
):
    run = look.saliency(pets, shipped, out="out", recursive=True, **FAST)
    assert files_of(tmp_path / "out") == ALL
    content = manifest("out")
    assert [entry["file"] for entry in content["pictures"]] == [
        f"pets/{name}".replace("npz", "jpg") for name in ALL
    ]
    assert [entry["outputs"] for entry in content["pictures"]] == [[name] for name in ALL]
    assert content["left_out"] == [
        {"file": "pets/notes.txt", "reason": "not a picture by its ending, .txt"}
    ]
    assert [entry.path.name for entry in run.left_out] == ["notes.txt"]


def test_the_command_names_what_is_left_out_and_ends_with_0(pets, tmp_path, capsys):
    (pets / ".hidden.jpg").touch()
    for number in range(5):
        (pets / f"{number}.xyz").touch()
    arguments = ["saliency", "pets", "-r", "-o", "out", "--format", "npz", "--method", "attention"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len(lines) == 3
    assert any("hidden: pets/.hidden.jpg" in line for line in lines)
    assert any(".xyz: pets/0.xyz, pets/1.xyz, pets/2.xyz and 2 more" in line for line in lines)
    assert files_of(tmp_path / "out") == ALL
    assert main(["predict", "pets", "--recursive"]) == 0
    said = capsys.readouterr()
    assert [line.partition(":")[0] for line in said.out.splitlines()] == [
        f"pets/{name}".replace("npz", "jpg") for name in ALL
    ]
    (pets / "dog" / "bad.jpg").write_bytes(b"no picture")
    assert main(["predict", "pets", "--recursive"]) == 3


def test_a_second_run_takes_no_output_for_an_input(shipped, pets, tmp_path):
    for _ in range(2):
        look.saliency(pets, shipped, out="pets/out", recursive=True, overwrite=True, formats="png")
        assert len(files_of(pets / "out", ".overlay.png")) == 4
    reasons = {entry["file"]: entry["reason"] for entry in manifest("pets/out")["left_out"]}
    assert reasons["pets/out"] == "the folder of the outputs"
    save("flat/a.jpg")
    for _ in range(2):
        run = look.saliency("flat", shipped, out="flat", overwrite=True, formats="png")
        assert [drawn.path.name for drawn in run] == ["a.jpg"]


# ---- places -------------------------------------------------------------------------------------


def places(*names):
    files = [PictureFile(pathlib.Path(name), name) for name in names]
    return ["/".join(place) for place in output_places(files)]


def test_pictures_of_one_name_keep_what_tells_them_apart():
    assert places("/x/cat/00.jpg", "/x/dog/00.jpg", "/x/dog/01.jpg") == ["cat/00", "dog/00", "01"]
    assert places("/a/x/00.jpg", "/b/x/00.jpg") == ["a/x/00", "b/x/00"]
    assert places("/p/00.jpg", "/p/00.png", "/p/01.png") == ["00.jpg", "00.png", "01"]
    assert places("/p/00.jpg", "/p/q/00.jpg") == ["p/00", "q/00"]
    assert places("/00.jpg", "/a/00.jpg") == ["00", "a/00"]
    assert places("/p/A.jpg", "/q/a.jpg") == ["p/A", "q/a"]
    # What no folder above and no ending tells apart is numbered in its own folder.
    assert places("/t/p/A.png", "/t/p/a.png") == ["A.png", "a.png"]
    endings = places("/t/p/a.jpg", "/t/p/a.png", "/t/p/a.jpg.png", "/t/p/b.jpg.png")
    assert endings == ["a.jpg", "a.png", "a.jpg.png", "b.jpg"]
    both = PictureFile(pathlib.Path("/t/cat.png"), "https://host/a/cat.png")
    other = PictureFile(pathlib.Path("/u/cat.png"), "https://user@host:80/../b/%2e%2e/cat.png")
    assert ["/".join(place) for place in output_places([both, other])] == ["a/cat", "b/cat"]


def test_places_do_not_depend_on_the_order():
    names = ["/a/x/0.jpg", "/b/x/0.jpg", "/b/y/0.jpg", "/b/y/0.png", "/b/0.jpg", "/c/1.jpg"]
    there = dict(zip(names, places(*names), strict=True))
    back = dict(zip(names[::-1], places(*names[::-1]), strict=True))
    assert there == back
    assert len(set(there.values())) == len(names)


# ---- parts --------------------------------------------------------------------------------------


def shards(shipped, count, out="out", numbers=None, **options):
    for number in numbers or range(1, count + 1):
        arguments = {"recursive": True, "shard": (number, count), **FAST, **options}
        look.saliency("pets", shipped, out=out, **arguments)


def test_the_parts_together_are_the_whole(shipped, pets, tmp_path):
    look.saliency(pets, shipped, out="whole", recursive=True, **FAST)
    shards(shipped, 3)
    assert files_of(tmp_path / "out") == ALL
    for name in ALL:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert main(["merge", "out"]) == 0
    merged, whole = manifest("out"), manifest("whole")
    for key in ("model", "settings", "left_out"):
        assert merged[key] == whole[key]
    strip = [{**entry, "seconds": 0} for entry in merged["pictures"]]
    assert strip == [{**entry, "seconds": 0} for entry in whole["pictures"]]
    assert merged["shards"] == 3
    before = merged["earlier"]
    look.merge_manifests("out")
    assert manifest("out")["earlier"] == before


def test_a_picture_stays_in_its_part_whatever_lies_beside_it_and_wherever_it_is_mounted():
    def files(root, count):
        return [
            PictureFile(pathlib.Path(root, "cat", f"{n}.jpg"), f"{root}/cat/{n}.jpg", ("cat",))
            for n in range(count)
        ]

    def parts(pictures):
        return [next(n for n in range(1, 9) if Shard(n, 8).holds(one)) for one in pictures]

    assert parts(files("/a", 400)) == parts(files("/b", 900))[:400]
    counts = collections.Counter(parts(files("/a", 4000)))
    assert sorted(counts) == list(range(1, 9))
    assert min(counts.values()) > 400


@pytest.mark.parametrize("value", ["0/4", "5/4", "4", "1/2/3", "a/b", "", (1,), "-1/2", "1/0"])
def test_what_is_no_part_is_refused(value):
    with pytest.raises(UsageError, match="I/N"):
        Shard.read(value)


def test_parts_that_do_not_fit_are_not_merged(shipped, pets):
    def refused(match):
        with pytest.raises(InputError, match=match) as caught:
            look.merge_manifests("out")
        assert "\n" not in str(caught.value)

    refused("does not exist")
    os.makedirs("out")
    refused("no such file")
    shards(shipped, 3, numbers=[1, 3])
    refused("no manifest of 2")
    shards(shipped, 3, numbers=[2], layer=1)
    refused("other settings in the shards 1 and 2")
    save("pets/bird/new.jpg")
    shards(shipped, 3, numbers=[2], overwrite=True)
    refused("other pictures")
    shards(shipped, 2, numbers=[1], overwrite=True)
    refused("shards of 2 and of 3")


# ---- runs that were killed ----------------------------------------------------------------------


class Killed(BaseException):
    """Ends a run as a kill does: nothing is tidied."""


@pytest.fixture
def killed(monkeypatch):
    """Return a function that runs, and is killed when so many pictures are drawn."""

    def run(count, *arguments, **options):
        class Listener(look.Listener):
            def drew(self, picture):
                nonlocal count
                count -= 1
                if not count:
                    raise Killed

        with monkeypatch.context() as patch:
            place = "kerasvit.look.records.manifest.Manifest.__exit__"
            patch.setattr(place, lambda manifest, *_: manifest._journal.close())
            with pytest.raises(Killed):
                look.saliency(*arguments, listener=Listener(), **options)

    return run


def test_a_run_that_was_killed_goes_on(shipped, pets, tmp_path, killed):
    options = {"out": "out", "recursive": True, **FAST}
    killed(2, pets, shipped, **options)
    assert not (tmp_path / "out" / "manifest.json").exists()
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in ALL[:2]}
    with open("out/manifest.json.part", "a") as file:
        file.write('{"file": "half wri')
    (tmp_path / "out" / "dog").mkdir()
    (tmp_path / "out" / ALL[2]).write_bytes(b"half of what was to be written")
    with pytest.raises(OutputError, match="exists"):
        look.saliency(pets, shipped, **options)
    with pytest.raises(UsageError, match="a change of layer"):
        look.saliency(pets, shipped, **options, layer=1, resume=True)
    killed(1, pets, shipped, resume=True, **options)
    run = look.saliency(pets, shipped, resume=True, **options)
    assert [drawn.path.as_posix() for drawn in run] == ["pets/dog/old/00.jpg"]
    content = manifest("out")
    assert [entry["outputs"] for entry in content["pictures"]] == [[name] for name in ALL]
    assert content["earlier"] == []
    assert not (tmp_path / "out/manifest.json.part").exists()
    for name, time in times.items():
        assert (tmp_path / "out" / name).stat().st_mtime_ns == time, "what was done is left alone"
    look.saliency(pets, shipped, out="whole", recursive=True, **FAST)
    for name in ALL:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_run_that_goes_on_draws_what_failed_or_is_missing_again(shipped, pets, tmp_path):
    bad = pets / "dog" / "bad.jpg"
    bad.write_bytes(b"no picture")
    options = {"out": "out", "recursive": True, "fail_fast": False, **FAST}
    assert list(look.saliency(pets, shipped, **options).failed) == [bad]
    save(bad)
    os.remove("out/cat/01.npz")
    run = look.saliency(pets, shipped, resume=True, **options)
    assert sorted(drawn.path.name for drawn in run) == ["01.jpg", "bad.jpg"]
    names = [entry["file"] for entry in manifest("out")["pictures"]]
    assert sorted(names) == sorted(set(names))
    assert len(names) == 5
    assert len(look.saliency(pets, shipped, resume=True, **options)) == 0
    assert len(manifest("out")["pictures"]) == 5


def test_a_part_that_was_killed_is_not_merged_until_it_has_gone_on(shipped, pets, killed):
    number = next(n for n in (1, 2) if sum(map(Shard(n, 2).holds, _files())) > 1)
    options = {"out": "out", "recursive": True, "shard": (number, 2), **FAST}
    shards(shipped, 2, numbers=[3 - number])
    killed(1, pets, shipped, **options)
    with pytest.raises(InputError, match="--resume"):
        look.merge_manifests("out")
    look.saliency(pets, shipped, resume=True, **options)
    assert look.merge_manifests("out") == pathlib.Path("out/manifest.json")
    assert len(manifest("out")["pictures"]) == 4


def _files():
    names = ("cat/00.jpg", "cat/01.jpg", "dog/00.jpg", "dog/old/00.jpg")
    return [PictureFile(pathlib.Path(n), n, pathlib.PurePath(n).parent.parts) for n in names]


# ---- what else comes in -------------------------------------------------------------------------


def test_the_standard_input_is_drawn_under_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    Image.fromarray(np.arange(4800, dtype=np.uint8).reshape(40, 40, 3)).save(stream, "PNG")

    class Pipe:
        buffer = io.BytesIO(stream.getvalue())

        @staticmethod
        def isatty():
            return False

    monkeypatch.setattr(sys, "stdin", Pipe)
    assert main(["saliency", "-", "-o", "out", "--format", "npz", "--method", "attention"]) == 0
    assert capsys.readouterr().out.startswith("-: ")
    assert files_of(tmp_path / "out") == ["stdin.npz"]
    assert manifest("out")["pictures"][0]["file"] == "-"


def test_a_constant_picture_is_noted(shipped, tmp_path, caplog):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "flat.png")
    (drawn,) = look.saliency(tmp_path / "flat.png", shipped, out=tmp_path / "out", **FAST)
    assert "same colour" in drawn.notes[0]
    assert "same colour" in manifest(tmp_path / "out")["pictures"][0]["notes"][0]
    assert "same colour" in caplog.text


def test_nothing_is_left_behind_by_a_run_that_draws_nothing(shipped, tmp_path):
    save(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="tiger"):
        look.saliency(
            tmp_path / "a.jpg",
            shipped,
            out=tmp_path / "new" / "out",
            target="tiger",
            **{**FAST, "method": "relevance"},
        )
    assert not (tmp_path / "new").exists()


def test_a_run_that_has_nothing_left_says_so(shipped, pets, capsys):
    command = ["saliency", str(pets), "-r", "-o", "out", "--format", "npz", "--method", "attention"]
    assert main(command) == 0
    assert "left to draw" not in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "no picture is left to draw" in capsys.readouterr().err
