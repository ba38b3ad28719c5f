"""What killed processes leave: rows 16 and 21 of the fault table, decided in `temporary.py`."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest

from kerasvit import temporary
from kerasvit.files import atomic_path
from kerasvit.temporary import exchange, remove_stale, scratch_folder, temporary_name

WRITER = """
import pathlib, sys, time
from kerasvit.files import atomic_path
with atomic_path(sys.argv[1], overwrite=True) as temporary:
    temporary.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(600)
"""


def _listing(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs Linux' /proc")
def test_what_a_killed_process_left_is_removed_by_the_next_writer_at_once(tmp_path):
    """kill -9 in the middle of a file: the old one stands, the rest goes with the next run."""
    target = tmp_path / "x.keras"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", WRITER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        half = _listing(tmp_path)
        assert len(half) == 2
        # It lives: who writes into the same folder leaves it alone.
        with atomic_path(tmp_path / "another.txt") as temporary:
            temporary.write_bytes(b"new")
        assert set(half) < set(_listing(tmp_path))
        writer.send_signal(signal.SIGKILL)
    assert target.read_bytes() == b"old"
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_bytes(b"new")
    assert _listing(tmp_path) == ["another.txt", "x.keras"]
    assert target.read_bytes() == b"new"


def _renamed(name, **parts):
    """Change parts of a temporary file's name."""
    names = ["machine", "boot", "process", "start"]
    values = dict(
        zip(names, re.fullmatch(r"\.kerasvit-(.*)-\w{16}", name)[1].split("-"), strict=True)
    )
    values |= parts
    return f".kerasvit-{'-'.join(values[part] for part in names)}-{'0' * 16}"


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs Linux' /proc")
@pytest.mark.parametrize(
    ("parts", "goes"),
    [
        ({}, False),
        ({"start": "1"}, True),
        ({"boot": "0" * 8}, True),
        ({"process": "9999999999"}, True),
        ({"machine": "0" * 8}, False),
        ({"start": "0"}, False),
    ],
    ids=["mine", "number taken by another", "earlier boot", "no such process", "shared", "unknown"],
)
def test_who_made_it_decides(tmp_path, parts, goes):
    left = tmp_path / _renamed(temporary_name(), **parts)
    left.mkdir()
    (left / "inside").write_bytes(b"half")
    remove_stale(tmp_path)
    assert left.exists() is not goes
    # What nobody can tell goes after a day.
    for path in (left / "inside", left):
        if path.exists():
            os.utime(path, (time.time() - 48 * 3600,) * 2)
    remove_stale(tmp_path)
    assert left.exists() is (parts == {})


def test_what_is_from_the_day_after_tomorrow_goes_too(tmp_path):
    """A clock that was put back: by its age alone it would stay until then."""
    for name, hours in ((f".kerasvit-{'0' * 16}", 48), (f".kerasvit-{'1' * 16}", 1)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() + hours * 3600,) * 2)
    remove_stale(tmp_path)
    assert _listing(tmp_path) == [f".kerasvit-{'1' * 16}"]


def test_many_files_are_not_looked_through_at_each_write(tmp_path, monkeypatch):
    """Ten thousand writes into a folder of ten thousand files took 10**8 looks."""
    for number in range(1000):
        (tmp_path / str(number)).touch()
    looks = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: looks.append(folder) or scandir(folder))
    for _ in range(100):
        remove_stale(tmp_path)
    assert len(looks) == 10
    left = tmp_path / _renamed(temporary_name(), process="9999999999")
    left.touch()
    for _ in range(11):
        remove_stale(tmp_path)
    assert not left.exists()


def test_a_folder_of_few_files_is_looked_through_each_time(tmp_path):
    for number in range(50):
        (tmp_path / str(number)).touch()
    for number in range(3):
        remove_stale(tmp_path)
        left = tmp_path / f".kerasvit-{str(number) * 16}"
        left.touch()
        os.utime(left, (0, 0))
    remove_stale(tmp_path)
    assert len(_listing(tmp_path)) == 50


def test_a_scratch_folder_that_is_gone_already_is_no_error():
    with scratch_folder() as folder:
        (folder / "file").touch()
        shutil.rmtree(folder)
    with scratch_folder() as folder:
        (folder / "file").touch()
    assert not folder.exists()


def test_a_users_own_hidden_files_stay(tmp_path):
    names = [".kerasvit-mine", ".kerasvit-1-2-3-4-5", ".kerasvit"]
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
        os.utime(tmp_path / name, (0, 0))
    remove_stale(tmp_path)
    assert _listing(tmp_path) == sorted(names)


def _system_exchanges(folder):
    """Tell by the system call itself whether folders can change places here."""
    names = [folder / name for name in ("left", "right")]
    for name in names:
        name.mkdir()
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(-100, bytes(names[0]), -100, bytes(names[1]), 2) == 0


def test_two_folders_change_places_in_one_step(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    done = exchange(tmp_path / "one", tmp_path / "two")
    assert done == _system_exchanges(tmp_path)
    if not done:
        pytest.skip("this system cannot")
    assert _listing(tmp_path / "one") == ["two"]
    assert _listing(tmp_path / "two") == ["one"]
    assert not exchange(tmp_path / "one", tmp_path / "missing")


@pytest.mark.parametrize(
    ("error", "lives"),
    [(None, True), (PermissionError, True), (ProcessLookupError, False), (OverflowError, False)],
)
def test_a_process_that_shows_nothing_but_that_it_is_there_lives(monkeypatch, error, lives):
    def kill(process, number):
        assert (process, number) == (7, 0)
        if error:
            raise error

    monkeypatch.setattr(temporary, "_start_of", lambda process: None)
    monkeypatch.setattr(os, "kill", kill)
    assert temporary._lives(7, 1) is lives


def test_the_age_of_a_link_is_its_own(tmp_path):
    (tmp_path / "old").touch()
    os.utime(tmp_path / "old", (0, 0))
    link = tmp_path / f".kerasvit-{'0' * 16}"
    link.symlink_to(tmp_path / "old")
    remove_stale(tmp_path)
    assert link.is_symlink()


@pytest.fixture
def a_system(tmp_path, monkeypatch):
    """A function that makes `temporary` see another /proc, or none."""

    def change(boot=None, processes=()):
        proc = tmp_path / "proc"
        if boot is not None:
            (proc / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
            (proc / "sys/kernel/random/boot_id").write_text(boot)
        for process, status in dict(processes).items():
            (proc / str(process)).mkdir(parents=True, exist_ok=True)
            (proc / str(process) / "stat").write_text(status)
        monkeypatch.setattr(temporary, "_PROC", proc)
        for told in (temporary._machine, temporary._boot):
            told.cache_clear()

    yield change
    monkeypatch.undo()
    for told in (temporary._machine, temporary._boot):
        told.cache_clear()


def _parts(name):
    return re.fullmatch(r"\.kerasvit-(.*)-\w{16}", name)[1].split("-")


def test_a_system_that_tells_nothing_of_owners(a_system, tmp_path):
    """As macOS: names are of the same form, and what they name goes by its age alone."""
    a_system()
    name = temporary_name()
    assert re.fullmatch(r"\.kerasvit-[0-9a-f]{8}-0{8}-\d+-0-[0-9a-f]{16}", name)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).mkdir()
    for hours, stays in ((0, True), (23, True), (25, False)):
        os.utime(folder / name, (time.time() - hours * 3600,) * 2)
        remove_stale(folder)
        assert (folder / name).exists() is stays


def test_machines_boots_and_starts_have_names_of_their_own(a_system, monkeypatch):
    """Eight digits of each: the machine's name, its space of processes, the boot's identity."""
    stat = f"{os.getpid()} (a) b) S " + " ".join(map(str, range(4, 40)))
    names, real = [], os.stat
    for host, space, boot in [("a", 1, "x"), ("b", 1, "x"), ("a", 2, "x"), ("a", 1, "y")]:
        a_system(boot, {os.getpid(): stat})
        monkeypatch.setattr(
            os, "uname", lambda host=host: types.SimpleNamespace(nodename=host), raising=False
        )

        def told(path, *arguments, space=space, **keywords):
            if str(path).endswith("self/ns/pid"):
                return types.SimpleNamespace(st_ino=space)
            return real(path, *arguments, **keywords)

        monkeypatch.setattr(os, "stat", told)
        names.append(_parts(temporary_name()))
        monkeypatch.setattr(os, "stat", real)
    # Field 22 of proc(5) is the start, whatever stands in the parentheses.
    assert {tuple(name[2:]) for name in names} == {(str(os.getpid()), "22")}
    machines, boots = [name[0] for name in names], [name[1] for name in names]
    assert len({*machines}) == 3
    assert machines[0] == machines[3]
    assert boots[0] == boots[1] == boots[2] != boots[3]


def test_a_machine_may_have_any_name(a_system, monkeypatch):
    a_system()
    name = os.fsdecode(b"host\xff")
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(nodename=name), raising=False)
    assert temporary._TEMPORARY.fullmatch(temporary_name(".keras"))


@pytest.mark.parametrize(("state", "lives"), [("R", True), ("S", True), ("Z", False), ("X", False)])
def test_the_dead_are_told_from_the_living(a_system, state, lives):
    status = f"7 (p) {state} " + " ".join(map(str, range(4, 40)))
    a_system(processes={7: status})
    assert temporary._lives(7, 22) is lives
    assert not temporary._lives(7, 21)


def test_the_age_of_a_folder_is_that_of_the_newest_in_it(tmp_path):
    """A download of two days that is still written to; a link in it counts by itself."""
    ages = {"old": (48, 48), "young": (48, 1)}
    (tmp_path / "target").touch()
    for number, (name, (folder_age, file_age)) in enumerate(ages.items()):
        folder = tmp_path / f".kerasvit-{str(number) * 16}"
        folder.mkdir()
        (folder / name).touch()
        (folder / "link").symlink_to(tmp_path / "target")
        os.utime(folder / "link", (0, 0), follow_symlinks=False)
        os.utime(folder / name, (time.time() - file_age * 3600,) * 2)
        os.utime(folder, (time.time() - folder_age * 3600,) * 2)
    remove_stale(tmp_path)
    assert _listing(tmp_path) == [f".kerasvit-{'1' * 16}", "target"]


def test_a_link_to_a_folder_goes_alone(tmp_path):
    """By its own age, and what it points to stays."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").touch()
    os.utime(mine, (0, 0))
    for number, age in enumerate((48, 1)):
        link = tmp_path / f".kerasvit-{str(number) * 16}"
        link.symlink_to(mine)
        os.utime(link, (time.time() - age * 3600,) * 2, follow_symlinks=False)
    remove_stale(tmp_path)
    assert _listing(tmp_path) == [f".kerasvit-{'1' * 16}", "mine"]
    assert _listing(mine) == ["file"]
