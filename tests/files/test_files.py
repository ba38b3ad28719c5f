import errno
import os
import stat
import time

import numpy as np
import pytest

from kerasvit.errors import DownloadError, OutputError
from kerasvit.files import atomic_path, check_outputs, write_npz
from kerasvit.temporary import _TEMPORARY


def listing(folder):
    return sorted(os.listdir(folder))


def write(target, content, overwrite=False, then=lambda: None):
    with atomic_path(target, overwrite) as temporary:
        temporary.write_bytes(content)
        then()


def raising(error):
    def fail():
        raise error

    return fail


def test_writes_a_new_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "map.npz"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".npz"
        assert not target.exists()
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert listing(tmp_path) == ["map.npz"]


def test_the_file_is_on_the_disk_before_its_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    """Otherwise a power failure leaves an empty file, or the old one after success was told."""
    events, replace = [], os.replace

    def flush(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("folder flushed" if is_folder else "file flushed")

    def rename(old, new):
        events.append("renamed")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    write(tmp_path / "a.txt", b"new")
    assert events == ["file flushed", "renamed", "folder flushed"]


def test_all_suffixes_are_kept_because_keras_reads_weights_h5(tmp_path):
    with atomic_path(tmp_path / "a.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")


def test_the_old_file_stands_until_the_block_ends(tmp_path):
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_any_exception_passes_and_leaves_the_folder_as_it_was(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with pytest.raises(type(error)) as caught:
        write(target, b"half", overwrite=True, then=raising(error))
    assert caught.value is error
    assert target.read_bytes() == b"old"
    assert listing(tmp_path) == ["a.txt"]


def test_an_os_error_becomes_one_line_that_names_the_target(tmp_path):
    error = OSError(28, "No space left on device")
    with pytest.raises(OutputError) as caught:
        write(tmp_path / "a.txt", b"half", then=raising(error))
    message = str(caught.value)
    assert "'" + str(tmp_path / "a.txt") + "'" in message
    assert "No space left on device" in message
    assert "\n" not in message
    assert listing(tmp_path) == []


def test_a_full_disk_is_an_output_error_and_keeps_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="could not be written"):
            write(target, bytes(5000), overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_bytes() == b"old"
    assert listing(tmp_path) == ["a.bin"]


def test_our_own_errors_pass_unchanged(tmp_path):
    error = DownloadError("no route")
    with pytest.raises(DownloadError) as caught, atomic_path(tmp_path / "a.txt"):
        raise error
    assert caught.value is error


def test_an_existing_file_is_refused_before_the_block_runs(tmp_path):
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists and is kept"), atomic_path(target):
        raise AssertionError("the block ran")
    assert target.read_bytes() == b"old"


def test_a_file_that_appears_during_the_block_is_kept(tmp_path):
    target = tmp_path / "a.txt"
    with pytest.raises(OutputError, match="exists"):
        write(target, b"mine", then=lambda: target.write_bytes(b"theirs"))
    assert target.read_bytes() == b"theirs"
    assert listing(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("absent/a.txt", "does not exist"),
        ("file/a.txt", "is not a folder"),
        ("folder", "is a folder"),
        ("x" * 300, "too long"),
    ],
)
def test_an_impossible_target_is_refused_before_the_block_runs(tmp_path, name, match):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    before = listing(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=match), atomic_path(tmp_path / name, overwrite):
            raise AssertionError("the block ran")
    assert listing(tmp_path) == before


def test_a_device_is_refused():
    with pytest.raises(OutputError, match="not a regular file"), atomic_path(os.devnull, True):
        raise AssertionError("the block ran")


def test_a_folder_without_write_permission_is_refused_before_the_block_runs(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(OutputError, match="Permission denied"), atomic_path(folder / "a.txt"):
        raise AssertionError("the block ran")


def test_the_old_permissions_are_kept_and_new_ones_follow_the_umask(tmp_path):
    old = tmp_path / "old.txt"
    old.write_bytes(b"")
    old.chmod(0o640)
    plain = tmp_path / "plain.txt"
    plain.write_bytes(b"")
    for target in (old, tmp_path / "new.txt"):
        with atomic_path(target, overwrite=True) as temporary:
            # Some writers put a file of their own in the place of the temporary one.
            temporary.unlink()
            temporary.write_bytes(b"x")
            temporary.chmod(0o600)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "a.txt"
    real.write_bytes(b"old")
    link = tmp_path / "link.txt"
    link.symlink_to(real)
    with pytest.raises(OutputError, match="exists"), atomic_path(link):
        pass
    with atomic_path(link, overwrite=True) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert listing(tmp_path / "real") == ["a.txt"]


@pytest.mark.parametrize("name", ["with space.png", "-dash", "новый.png", "new\nline", "é" * 127])
def test_strange_names_are_written_as_they_are(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_bytes(b"x")
    assert listing(tmp_path) == [name]


def test_a_name_of_the_longest_allowed_length_is_written(tmp_path):
    name = "a." + "b" * 253
    with atomic_path(tmp_path / name) as temporary:
        assert _TEMPORARY.fullmatch(temporary.name)
        temporary.write_bytes(b"x")
    assert listing(tmp_path) == [name]


def test_a_relative_name_is_written_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_path("a.txt") as temporary:
        temporary.write_bytes(b"x")
    assert listing(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path):
    names = {
        ".kerasvit-0123456789abcdef.keras": 48 * 3600,
        ".kerasvit-fedcba9876543210.keras": 60,
        ".kerasvit-mine.keras": 48 * 3600,
    }
    for name, age in names.items():
        path = tmp_path / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    with atomic_path(tmp_path / "new.keras") as temporary:
        temporary.write_bytes(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {*list(names)[1:], "new.keras"}


@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_the_many_lines_of_hdf5_on_a_full_disk_become_one(tmp_path, kind):
    words = "Can't close file (file write failed: time = now\n, errno = 28, error message = 'No'"
    path = tmp_path / "new.keras"
    with pytest.raises(OutputError, match="No space left on device") as caught, atomic_path(path):
        raise kind(words)
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="another"), atomic_path(path):
        raise RuntimeError("another")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "is_told"), [(errno.ENOSPC, True), (errno.ENOENT, False)])
def test_a_library_that_stumbles_over_a_full_disk_tells_of_the_disk(tmp_path, number, is_told):
    """`torch.save` ends with "unexpected pos 27328 vs 27264", which was a bug of ours, code 70."""

    def stumble():
        try:
            raise OSError(number, os.strerror(number))
        finally:
            raise RuntimeError("unexpected pos 27328 vs 27264")

    raised = (OutputError, "No space left") if is_told else (RuntimeError, "unexpected pos")
    with pytest.raises(raised[0], match=raised[1]), atomic_path(tmp_path / "new.pth"):
        stumble()
    assert not list(tmp_path.iterdir())


def test_outputs_that_can_be_written_are_checked_without_a_trace(tmp_path):
    old = tmp_path / "old.txt"
    old.write_bytes(b"old")
    check_outputs([tmp_path / "new.txt", tmp_path / "newer.npz"], inputs=[old])
    check_outputs([old], overwrite=True, inputs=[tmp_path / "another.txt", tmp_path, {}, None])
    assert listing(tmp_path) == ["old.txt"]
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("absent/a.txt", "does not exist"),
        ("file/a.txt", "is not a folder"),
        ("folder", "is a folder"),
        ("x" * 300, "too long"),
        ("file", "exists and is kept"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(tmp_path, name, match):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    before = listing(tmp_path)
    with pytest.raises(OutputError, match=match):
        check_outputs([tmp_path / "good.txt", tmp_path / name])
    assert listing(tmp_path) == before


def test_missing_folders_are_made_where_they_are_wanted(tmp_path):
    check_outputs([tmp_path / "a" / "b" / "c.txt"], make_folders=True)
    assert listing(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        check_outputs([tmp_path / "file" / "b" / "c.txt"], make_folders=True)


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_no_output_is_an_input_by_whatever_name(tmp_path, link):
    source, output = tmp_path / "source.keras", tmp_path / "output.keras"
    source.write_bytes(b"weights")
    if link is None:
        output = tmp_path / ".." / tmp_path.name / "source.keras"
    else:
        link(source, output)
    with pytest.raises(OutputError, match="one of the inputs"):
        check_outputs([output], overwrite=True, inputs=[str(source)])


def test_the_trial_notices_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        check_outputs([tmp_path / "a.txt"])


def test_what_stands_there_is_kept_unless_said_otherwise(tmp_path):
    old = tmp_path / "old.npz"
    old.write_bytes(b"old")
    for write_over in (
        lambda: write(old, b"new"),
        lambda: write_npz(old, {"a": np.zeros(3)}),
        lambda: check_outputs([old]),
    ):
        with pytest.raises(OutputError, match="exists and is kept"):
            write_over()
        assert old.read_bytes() == b"old"
    with pytest.raises(OutputError, match="does not exist"):
        check_outputs([tmp_path / "missing" / "a.npz"])
    write_npz(old, {"a": np.arange(3)}, overwrite=True)
    with np.load(old) as arrays:
        np.testing.assert_array_equal(arrays["a"], np.arange(3))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux' /proc")
def test_no_file_stays_open(tmp_path):
    """Otherwise a run that writes ten thousand pictures ends after the first thousand."""
    write(tmp_path / "a.txt", b"first")  # what the first call opens once for all
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        write(tmp_path / "a.txt", b"new", overwrite=True)
        check_outputs([tmp_path / "b.txt"])
        with pytest.raises(KeyError):
            write(tmp_path / "c.txt", b"half", then=raising(KeyError()))
    assert len(os.listdir("/proc/self/fd")) == before
