"""Full disks: a tmpfs with too little room, and a limit on the size of files, at many sizes; and
one that may only be read.

One line, exit code 5, nothing half-written, and what was there before byte for byte.
"""

import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import tempfile

from running import Damaged, content, in_child, leftovers, outcome
from writers import WRITERS
from writing.models import Between

_PAGE = 4096


def fill(name, limits):
    """Let a writer of one kind run out of disk at so many sizes, in each of two ways.

    Returns:
        How often it could not write in each way; "read_only": whether it could not at all.
    """
    failed = {way.__name__: _try_all(name, limits, way) for way in (size_limit, small_disk)}
    return {**failed, "read_only": _try_all(name, 1, read_only)}


@contextlib.contextmanager
def size_limit(folder, room):
    """Let no file of a child grow beyond some bytes, as a quota or `ulimit -f` does."""

    def limited(function, *arguments):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        return function(*arguments)

    yield limited


@contextlib.contextmanager
def small_disk(folder, room):
    """Fill the disk of a folder up to some bytes."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    ballast = pathlib.Path(folder).parent / "ballast"
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(_PAGE, free - room))
    try:
        yield lambda function, *arguments: function(*arguments)
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only(folder, room):
    """Let nobody write to the disk of a folder, not even root, who may write to any folder."""
    remount = ["mount", "-o"]
    subprocess.run([*remount, "remount,ro", folder.parent], check=True)
    try:
        yield lambda function, *arguments: function(*arguments)
    finally:
        subprocess.run([*remount, "remount,rw", folder.parent], check=True)


@contextlib.contextmanager
def disk(megabytes=48):
    """Mount a small disk, which is root's right; else lend a folder.

    Yields:
        The folder, and whether it is a disk of its own.
    """
    with tempfile.TemporaryDirectory() as name:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", name]
        is_mounted = subprocess.run(command, capture_output=True).returncode == 0
        try:
            yield pathlib.Path(name), is_mounted
        finally:
            if is_mounted:
                subprocess.run(["umount", "-l", name], check=True)


def _try_all(name, limits, way):
    writer = WRITERS[name]
    failed = 0
    with disk() as (place, is_mounted):
        if way is not size_limit and not is_mounted:
            return 0
        folder, scratch = place / "folder", place / "scratch"
        folder.mkdir(), scratch.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
        try:
            write, check = writer.make()
            path = folder / writer.output
            write(path), check(path)
            size = _size(path)
            before = set(os.listdir(scratch))
            for number in range(limits):
                room = (
                    size * (number + 1) // limits if way is small_disk else size * number // limits
                )
                failed += _fail_once(write, check, path, way, room)
                remaining = leftovers(folder) + leftovers(scratch, before)
                if remaining:
                    raise Damaged(f"left with room for {room} bytes: {remaining}")
            in_child(write, path)
            check(path)
        finally:
            tempfile.tempdir = None
    return failed


def _fail_once(write, check, path, way, room):
    """Write once with too little room; return whether it was too little."""
    old = content(path)
    with way(path.parent, room) as limited:
        kind, value = outcome(limited, write, path)
    if kind == "returned":
        _checked(check, path)
        return False
    if kind == "died":
        raise Damaged(f"died of {value} with room for {room} bytes")
    _, code, message, trace = value
    if code != 5 or "\n" in message:
        raise Damaged(f"code {code} with room for {room} bytes: {message[:300]}\n{trace}")
    new = content(path)
    if isinstance(old, dict):
        # Of several files those that were whole before the disk was full may be new.
        if set(old) - set(new):
            raise Damaged(f"lost with room for {room} bytes: {sorted(set(old) - set(new))}")
        _checked(check, path)
    elif new != old:
        raise Damaged(f"the old file is another with room for {room} bytes")
    return True


def _checked(check, path):
    with contextlib.suppress(Between):
        check(path)


def _size(path):
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return max(file.stat().st_size for file in files)
