"""Runs that are killed at moments which leave least, and shards among their own pictures."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from kerasvit import look
from kerasvit.errors import InputError, UsageError
from kerasvit.look.records import journal
from kerasvit.look.records.manifest import Manifest

OPTIONS = {"method": "attention", "formats": ("png",), "dpi": 40}


class Killed(BaseException):
    """Ends a run as a kill does: nothing is tidied."""


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Two pictures in a folder."""
    monkeypatch.chdir(tmp_path)
    folder = pathlib.Path("in")
    folder.mkdir()
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(draw.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def killed_before_its_first_note(pictures, shipped, monkeypatch):
    """A run whose first picture is on disk, and noted nowhere."""

    def kill(*_, **__):
        raise Killed

    def run(out):
        with monkeypatch.context() as patch:
            patch.setattr(Manifest, "add", kill)
            patch.setattr(Manifest, "__exit__", lambda manifest, *_: manifest._journal.close())
            with pytest.raises(Killed):
                look.saliency(pictures, shipped, out=out, **OPTIONS)

    return run


def test_a_run_killed_at_its_first_picture_goes_on(pictures, shipped, killed_before_its_first_note):
    """Found by killing: --resume met files of nobody, and refused to write."""
    killed_before_its_first_note("out")
    assert list(pathlib.Path("out").glob("a*.png"))
    assert len(look.saliency(pictures, shipped, out="out", resume=True, **OPTIONS)) == 2
    assert not list(pathlib.Path("out").glob("*.part"))


def test_a_kill_while_a_run_begins_to_go_on_keeps_what_is_noted(
    pictures, shipped, killed_before_its_first_note, monkeypatch
):
    killed_before_its_first_note("out")
    before = pathlib.Path("out/manifest.json.part").read_bytes()

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("kerasvit.files.os.replace", kill)
        with pytest.raises(Killed):
            look.saliency(pictures, shipped, out="out", resume=True, **OPTIONS)
    assert pathlib.Path("out/manifest.json.part").read_bytes() == before


def test_a_run_that_draws_nothing_leaves_no_journal(pictures, shipped):
    (pictures / "a.png").write_bytes(b"")
    (pictures / "b.png").unlink()
    with pytest.raises(InputError):
        look.saliency(pictures, shipped, out="out", **OPTIONS)
    assert not list(pathlib.Path("out").glob("*.part"))


def test_a_journal_on_a_full_disk_ends_no_run(tmp_path):
    own = journal.Journal(tmp_path / "missing" / "x.part")
    own.begin(["{}"])
    own.note("{}")
    assert not own.is_begun
    own = journal.Journal(tmp_path / "x.part")
    own.begin(["{}"])
    own._file.close()
    own._file = open("/dev/full", "w")  # noqa: SIM115
    own.note("{}")
    own.close()
    own.remove()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_drew_among_its_inputs_is_no_picture(pictures, shipped, monkeypatch):
    options = {"method": "attention", "formats": ("gif",)}
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "__exit__", lambda manifest, *_: manifest._journal.close())
        look.saliency(pictures, shipped, out="in", **options)
    assert len(list(pictures.glob("*.gif"))) == 2
    run = look.saliency(pictures, shipped, out="in", resume=True, **options)
    assert len(run) == 0
    left_out = [entry.reason for entry in run.left_out]
    assert left_out.count("an output of an earlier run") == 2


def test_shards_do_not_draw_into_their_inputs(pictures, shipped):
    with pytest.raises(UsageError, match="Shards need a folder"):
        look.saliency(pictures, shipped, out="in", shard="1/2", **OPTIONS)
    with pytest.raises(UsageError, match="Shards need a folder"):
        look.saliency(pictures, shipped, out=".", shard="1/2", **OPTIONS)
    look.saliency(pictures, shipped, out="in/out", recursive=True, shard="1/2", **OPTIONS)
