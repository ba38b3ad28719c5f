"""The cache: where it is, what it refuses, and that its entries are whole or absent."""

import errno
import json
import os
import subprocess
import sys
import time

import pytest

from kerasvit import cache
from kerasvit.cache import Entry
from kerasvit.errors import DownloadError, OutputError

VARIABLES = ("KERASVIT_CACHE", "XDG_CACHE_HOME", "KERASVIT_OFFLINE", "HF_HUB_OFFLINE")
A_SHA256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # of b"a"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A cache folder that does not exist yet."""
    monkeypatch.setenv("KERASVIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(entry, content=b"a", name="a.bin"):
    with entry.fill(name) as path:
        path.write_bytes(content)


def fill_and_raise(entry, error):
    with entry.fill("a.bin") as path:
        path.write_bytes(b"half")
        raise error


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


WHOLE = ["downloads/x/a.bin", "downloads/x/check.json"]


def test_the_own_variable_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_folder() == tmp_path / "home" / ".cache" / "kerasvit"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "kerasvit"
    monkeypatch.setenv("KERASVIT_CACHE", "~/own")
    assert cache.cache_folder() == tmp_path / "home" / "own"


def test_empty_and_relative_settings_do_not_count(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERASVIT_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.cache_folder() == tmp_path / ".cache" / "kerasvit"


@pytest.mark.skipif(os.name == "nt", reason="HOME decides nothing on Windows")
@pytest.mark.parametrize("home", [None, ""])
def test_without_a_home_the_variable_is_named_and_nothing_else_is_used(monkeypatch, home):
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    with pytest.raises(OutputError, match="KERASVIT_CACHE"):
        cache.cache_folder()


@pytest.mark.parametrize("name", ["KERASVIT_OFFLINE", "HF_HUB_OFFLINE"])
def test_either_variable_forbids_the_network(monkeypatch, name):
    assert not cache.is_offline()
    for word in ("0", "", "no", "false"):
        monkeypatch.setenv(name, word)
        assert not cache.is_offline()
    for word in ("1", "true", "TRUE", "Yes", "on"):
        monkeypatch.setenv(name, word)
        assert cache.is_offline()


def test_looking_makes_no_folder(folder):
    assert Entry("downloads", "x").find() is None
    assert not folder.exists()


def test_an_entry_is_found_once_it_is_filled(folder):
    entry = Entry("downloads", "x")
    with entry.fill("a.bin") as path:
        path.write_bytes(b"a")
        assert entry.find() is None
    assert entry.find() == folder / "downloads" / "x" / "a.bin"
    assert entry.find().read_bytes() == b"a"
    assert listing(folder) == WHOLE


@pytest.mark.parametrize("error", [DownloadError("no"), KeyError("x"), KeyboardInterrupt()])
def test_a_failure_passes_and_leaves_nothing(folder, error):
    entry = Entry("downloads", "x")
    with pytest.raises(type(error)) as caught:
        fill_and_raise(entry, error)
    assert caught.value is error
    assert entry.find() is None
    assert listing(folder) == []
    assert os.listdir(folder / "downloads") == []


def test_a_block_that_writes_nothing_is_an_error(folder):
    with pytest.raises(OutputError), Entry("downloads", "x").fill("a.bin"):
        pass
    assert os.listdir(folder / "downloads") == []


def keep_time(path, change):
    status = path.stat()
    change(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


DAMAGES = {
    "cut": lambda path: keep_time(path, lambda path: path.write_bytes(b"")),
    "longer": lambda path: keep_time(path, lambda path: path.write_bytes(b"ab")),
    "edited": lambda path: path.write_bytes(b"b"),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "no check": lambda path: path.with_name("check.json").unlink(),
    "empty check": lambda path: path.with_name("check.json").write_text(""),
    "check of another kind": lambda path: path.with_name("check.json").write_text("[1]"),
    "check without hash": lambda path: path.with_name("check.json").write_text(
        json.dumps({"file": "a.bin", "size": 1, "mtime_ns": 0, "sha256": None})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_entry_is_not_found_and_can_be_filled_again(folder, damage):
    entry = Entry("downloads", "x")
    fill(entry)
    time.sleep(0.01)  # so that an edit has another time
    damage(entry.find())
    assert entry.find() is None
    fill(entry)
    assert entry.find().read_bytes() == b"a"
    assert listing(folder) == WHOLE
    assert os.listdir(folder / "downloads") == ["x"]


def test_the_hash_is_computed_once_for_each_time_of_the_file(folder, monkeypatch):
    entry = Entry("downloads", "x")
    fill(entry)
    hashed = []
    real = cache.file_sha256
    monkeypatch.setattr(cache, "file_sha256", lambda path: hashed.append(path) or real(path))
    assert entry.find()
    assert hashed == []
    os.utime(entry.find(), ns=(1, 1))
    for _ in range(3):
        assert entry.find()
    assert len(hashed) == 1


def test_a_bit_that_flips_without_a_new_time_is_found_by_a_thorough_look(folder):
    entry = Entry("downloads", "x")
    fill(entry)
    keep_time(entry.find(), lambda path: path.write_bytes(b"c"))
    assert entry.find() is not None
    assert entry.find(thorough=True) is None
    fill(entry)
    assert entry.find(thorough=True).read_bytes() == b"a"


def test_a_check_cannot_point_out_of_its_folder(folder):
    entry = Entry("downloads", "x")
    fill(entry)
    (folder / "downloads" / "y").write_bytes(b"a")
    check = folder / "downloads" / "x" / "check.json"
    check.write_text(check.read_text().replace("a.bin", "../y"))
    assert entry.find() is None


def test_the_published_hash_or_its_start_must_agree(folder):
    fill(Entry("downloads", "x"))
    for sha256 in (A_SHA256, A_SHA256[:8]):
        assert Entry("downloads", "x", sha256).find()
    assert Entry("downloads", "x", "0" * 8).find() is None


def test_an_intact_entry_of_another_process_is_kept(folder):
    entry = Entry("converted", "x")
    with entry.fill("a.bin") as path:
        path.write_bytes(b"late")
        fill(entry, b"first")
    assert entry.find().read_bytes() == b"first"
    assert os.listdir(folder / "converted") == ["x"]


def test_an_entry_with_another_hash_is_replaced(folder):
    fill(Entry("downloads", "x"), b"old")
    fill(Entry("downloads", "x", A_SHA256), b"a")
    assert Entry("downloads", "x").find().read_bytes() == b"a"


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"x"), lambda path: path.mkdir()])
def test_what_stands_in_the_way_is_replaced(folder, make):
    (folder / "downloads").mkdir(parents=True)
    make(folder / "downloads" / "x")
    fill(Entry("downloads", "x"))
    assert listing(folder) == WHOLE


def test_a_discarded_entry_is_gone(folder):
    entry = Entry("downloads", "x")
    fill(entry)
    entry.discard()
    entry.discard()
    assert os.listdir(folder / "downloads") == []


@pytest.mark.parametrize("below", ["", "inside"])
def test_a_cache_that_is_a_file_is_an_output_error(monkeypatch, tmp_path, below):
    (tmp_path / "file").write_bytes(b"mine")
    monkeypatch.setenv("KERASVIT_CACHE", str(tmp_path / "file" / below))
    entry = Entry("downloads", "x")
    assert entry.find() is None
    with pytest.raises(OutputError, match="KERASVIT_CACHE") as caught:
        fill(entry)
    assert repr(str(tmp_path / "file" / below).rstrip("/")) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 5
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_cache_that_cannot_be_written_still_serves(folder, monkeypatch):
    entry = Entry("downloads", "x")
    fill(entry)
    os.utime(entry.find(), ns=(1, 1))

    def refuse(*arguments, **keywords):
        raise OutputError("read-only")

    monkeypatch.setattr(cache, "atomic_path", refuse)
    assert entry.find().read_bytes() == b"a"
    with pytest.raises(OutputError, match="KERASVIT_CACHE"):
        fill(Entry("downloads", "y"))


def test_what_others_left_is_removed_by_age(folder):
    old, young = f".kerasvit-{'0' * 16}", f".kerasvit-{'1' * 16}"
    for name, age in ((old, 2 * 24 * 3600), (young, 60)):
        left = folder / "downloads" / name
        left.mkdir(parents=True)
        (left / "a.bin").write_bytes(b"half")
        then = time.time() - age
        for path in (left / "a.bin", left):
            os.utime(path, (then, then))
    fill(Entry("downloads", "x"))
    assert sorted(os.listdir(folder / "downloads")) == [young, "x"]


def test_a_place_that_is_never_free_ends_in_an_error(folder, monkeypatch):
    """Other processes that come each time in between: not for ever."""
    tries = []

    def refuse(*names):
        tries.append(names)
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(cache, "_move_aside", lambda place: None)
    with pytest.raises(OutputError, match=r"Received: Directory not empty\. Set KERASVIT_CACHE"):
        fill(Entry("downloads", "x"))
    assert 10 < len(tries) < 1000
    assert listing(folder) == []


def test_a_link_in_the_way_goes_and_what_it_points_to_stays(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"mine")
    entry = Entry("downloads", "x")
    entry.folder.parent.mkdir(parents=True)
    entry.folder.symlink_to(tmp_path / "mine")
    fill(entry)
    assert not entry.folder.is_symlink()
    assert listing(folder) == WHOLE
    assert (tmp_path / "mine" / "file").read_bytes() == b"mine"


def test_names_depend_on_the_identity_alone():
    first = Entry.of("converted", "a b/../ü.pth", {"x": 1, "y": (2, 3)})
    assert first == Entry.of("converted", "a b/../ü.pth", {"y": [2, 3], "x": 1})
    assert first != Entry.of("converted", "a b/../ü.pth", {"x": 1, "y": [2, 4]})
    assert set(first.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "x" * 300, "a/b", "ü\n", "con\\x"])
def test_any_name_becomes_one_that_every_file_system_takes(name):
    safe = cache.safe_name(name)
    assert safe
    assert len(safe) <= 80
    assert not safe.startswith(".")
    assert not set(safe) & set('/\\:\n"')


@pytest.mark.parametrize("name", ["Xception.pth", "_x-1", "x" * 80, "a..b"])
def test_a_name_that_they_take_stays(name):
    assert cache.safe_name(name) == name


WORKER = """
import contextlib, sys
content = sys.argv[1].encode()
sys.argv = ["kerasvit"]  # the command line imports no Keras before it must
from kerasvit.cache import Entry
assert not {"keras", "torch"} & set(sys.modules)
sys.stdin.readline()
entry = Entry("converted", "x")
for _ in range(50):
    path = entry.find()
    if path is None:
        with entry.fill("a.bin") as new:
            new.write_bytes(content)
        path = entry.find()
    with contextlib.suppress(FileNotFoundError):  # another process may discard it meanwhile
        assert path is None or len(set(path.read_bytes())) == 1
    entry.discard()
with entry.fill("a.bin") as new:
    new.write_bytes(content)
"""


def test_eight_processes_that_fill_and_discard_leave_one_whole_entry(folder):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(number) * 1000], stdin=subprocess.PIPE, text=True
        )
        for number in range(8)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait(120) for process in processes] == [0] * 8
    assert len(set(Entry("converted", "x").find().read_bytes())) == 1
    assert os.listdir(folder / "converted") == ["x"]
