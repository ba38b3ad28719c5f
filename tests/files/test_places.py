"""Places where nothing can be written: one line, exit code 5, what is there untouched."""

import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from kerasvit.errors import OutputError
from kerasvit.files import atomic_path, check_outputs
from kerasvit.temporary import scratch_folder


def _folder(place):
    (place / "x").mkdir()
    return place / "x"


def _below_a_file(place):
    (place / "file").write_bytes(b"mine")
    return place / "file" / "x"


def _loop(place):
    (place / "one").symlink_to(place / "two")
    (place / "two").symlink_to(place / "one")
    return place / "one"


def _below_a_loop(place):
    return _loop(place) / "x"


def _no_folder(place):
    return place / "missing" / "x"


def _link_into_nothing(place):
    (place / "link").symlink_to(place / "missing" / "x")
    return place / "link"


def _device(place):
    os.mkfifo(place / "pipe")
    return place / "pipe"


PLACES = [_folder, _below_a_file, _loop, _below_a_loop, _no_folder, _link_into_nothing, _device]


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
@pytest.mark.parametrize("make", PLACES, ids=[make.__name__ for make in PLACES])
def test_where_nothing_can_be_written(tmp_path, make):
    target = make(tmp_path)
    before = sorted(os.listdir(tmp_path))

    def write():
        with atomic_path(target, overwrite=True) as temporary:
            temporary.write_bytes(b"new")

    for call in (write, lambda: check_outputs([target], overwrite=True)):
        with pytest.raises(OutputError) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert str(target) in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


READ_ONLY = """
import os, sys
from kerasvit.errors import OutputError
from kerasvit.files import atomic_path, check_outputs, make_folder
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)  # root may write anywhere
def write():
    with atomic_path("x", overwrite=True) as temporary:
        temporary.write_bytes(b"new")
for call in (write, lambda: check_outputs(["x"], overwrite=True), lambda: make_folder("new")):
    try:
        call()
    except OutputError as error:
        assert "ermission denied" in str(error), error
        assert chr(10) not in str(error), error
    else:
        sys.exit("it could be written")
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users of POSIX")
def test_a_folder_that_may_only_be_read():
    # Not pytest's: another user than this one cannot even reach that.
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        (place / "x").write_bytes(b"old")
        place.chmod(0o555)
        try:
            command = [sys.executable, "-c", READ_ONLY]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        finally:
            place.chmod(0o755)
        assert done.returncode == 0, done.stderr
        assert os.listdir(place) == ["x"]
        assert (place / "x").read_bytes() == b"old"


def test_a_folder_of_temporary_files_without_room(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"mine")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="TMPDIR") as caught, scratch_folder():
        pass
    assert caught.value.exit_code == 5
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OutputError, match="No space left"), scratch_folder():
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == ["file"]
