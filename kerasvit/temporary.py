"""Temporary files and folders: their hidden names, and how those of killed processes go away.

A name says who made it: `.kerasvit-MACHINE-BOOT-PROCESS-START-RANDOM`. Whoever writes into the same
folder next removes those whose owner is dead, whatever their age: a process of this machine that
is no more, whose number another one has now, or that ended with an earlier boot. What another
machine made, as in a folder that several share, and where the system does not tell who lives, is
removed a day after its last change.
"""

import contextlib
import contextvars
import ctypes
import functools
import hashlib
import os
import pathlib
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator

from kerasvit.errors import KerasViTError, OutputError

_TEMPORARY = re.compile(
    r"\.kerasvit-(?:([0-9a-f]{8})-([0-9a-f]{8})-(\d{1,10})-(\d{1,20})-)?[0-9a-f]{16}(?:\..*)?"
)
# Longer than any writing, download or conversion leaves its file without a change.
_STALE_SECONDS = 24 * 3600
# Names that a call may look at, on average.
_LOOKS_AT_ONCE = 100
_calls_until_look: dict[str, int] = {}
_PROC = pathlib.Path("/proc")
# Of renameat2(2): AT_FDCWD, RENAME_EXCHANGE.
_HERE, _EXCHANGE = -100, 2


def temporary_name(suffix: str = "") -> str:
    """Return a new hidden name for a file or folder that `remove_stale` knows as temporary."""
    process = os.getpid()
    owner = f"{_machine()}-{_boot()}-{process}-{_start_of(process) or 0}"
    return f".kerasvit-{owner}-{secrets.token_hex(8)}{suffix}"


def exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Let two folders change places in one step, so that a kill leaves each of them somewhere.

    Returns:
        Whether they did: it takes Linux and a file system that can.
    """
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = (os.fsencode(os.path.abspath(path)) for path in (one, other))
    return function(_HERE, next(names), _HERE, next(names), _EXCHANGE) == 0


def remove_stale(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files and folders that killed processes left; nothing reads them.

    The first call of a process looks through the folder. A folder of many files, to which more and
    more are written, is looked through again once a share of its length has been called for, so
    that ten thousand writes do not cost ten thousand times ten thousand looks.
    """
    place = os.path.abspath(folder)
    calls = _calls_until_look.get(place, 0)
    if calls:
        _calls_until_look[place] = calls - 1
        return
    leftovers, count = [], 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # it may be write-only
        for count, entry in enumerate(entries, 1):  # noqa: B007 - the length is what is left
            if _TEMPORARY.fullmatch(entry.name):
                leftovers.append(entry)
    _calls_until_look[place] = count // _LOOKS_AT_ONCE
    for entry in leftovers:
        with contextlib.suppress(OSError):  # another process may be faster
            if _is_left(entry):
                is_folder = entry.is_dir(follow_symlinks=False)
                shutil.rmtree(entry.path) if is_folder else os.unlink(entry.path)


def _is_left(entry: os.DirEntry[str]) -> bool:
    match = _TEMPORARY.fullmatch(entry.name)
    machine, boot, process, start = (part or "0" for part in match.groups()) if match else "0000"
    if machine == _machine() and start != "0":
        return boot != _boot() or not _lives(int(process), int(start))
    # Either way: a clock may have jumped, and what is from the day after tomorrow is from no day.
    return abs(time.time() - _last_change(entry)) > _STALE_SECONDS


@functools.cache
def _machine() -> str:
    """Tell this machine, and the space of its process numbers, from others."""
    try:
        space = os.stat(_PROC / "self" / "ns" / "pid").st_ino
    except OSError:
        space = 0
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return _digits(f"{name} {space}")


@functools.cache
def _boot() -> str:
    try:
        return _digits((_PROC / "sys/kernel/random/boot_id").read_text())
    except OSError:
        return "0" * 8


def _lives(process: int, start: int) -> bool:
    known = _start_of(process)
    if known is not None:
        return known == start
    # Of other users' processes a system may show nothing but that they are there.
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _start_of(process: int) -> int | None:
    """Return when a process began, in ticks since the boot: 0 if it is dead, None if unknown."""
    try:
        status = (_PROC / str(process) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # proc(5): the name, which may hold anything, is in parentheses; the state is field 3, the
    # start is field 22. A zombie is dead: it waits to be counted.
    fields = status.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


def _last_change(entry: os.DirEntry[str]) -> float:
    """Return the time of a file, or of the newest thing in a folder."""
    times = [entry.stat(follow_symlinks=False).st_mtime]
    if entry.is_dir(follow_symlinks=False):
        with os.scandir(entry.path) as inside:
            times += [file.stat(follow_symlinks=False).st_mtime for file in inside]
    return max(times)


_MADE: contextvars.ContextVar[list[pathlib.Path] | None] = contextvars.ContextVar(
    "made", default=None
)


def make_folders(folder: str | os.PathLike[str]) -> None:
    """Make a folder and those above it, where they are missing; see `without_empty_folders`."""
    place = pathlib.Path(os.path.abspath(folder))
    missing = [path for path in (place, *place.parents) if not os.path.exists(path)]
    os.makedirs(folder, exist_ok=True)
    made = _MADE.get()
    if made is not None:
        made.extend(reversed(missing))


@contextlib.contextmanager
def without_empty_folders() -> Iterator[None]:
    """Remove, if the block fails, the folders that were made in it and hold nothing yet."""
    made: list[pathlib.Path] = []
    token = _MADE.set(made)
    try:
        yield
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # something lies in it
                folder.rmdir()
        raise
    finally:
        _MADE.reset(token)


@contextlib.contextmanager
def scratch_folder() -> Iterator[pathlib.Path]:
    """Lend a folder for temporary files, which is gone when the block ends.

    Those of killed processes go first.

    Raises:
        OutputError: if it cannot be made, or there is no room for what the block writes there.
    """
    with scratch_errors():
        folder = new_scratch_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def new_scratch_folder() -> pathlib.Path:
    """Make a folder for temporary files, which this user alone reads, and return it.

    Those of killed processes go first.

    Raises:
        OutputError: if it cannot be made.
    """
    with scratch_errors():
        place = pathlib.Path(tempfile.gettempdir())
        remove_stale(place)
        folder = place / temporary_name()
        folder.mkdir(mode=0o700)
        return folder


@contextlib.contextmanager
def scratch_errors() -> Iterator[None]:
    """Turn what the system says of temporary files into an `OutputError` that tells where to."""
    try:
        yield
    except KerasViTError:
        raise
    except OSError as error:
        raise OutputError(
            "Temporary files need a folder with room. Received: "
            f"{error.strerror or error}, in {_scratch_place()}. Free the disk, or set TMPDIR to "
            "another folder"
        ) from error


def _scratch_place() -> str:
    with contextlib.suppress(OSError):  # there is none at all
        return repr(tempfile.gettempdir())
    return "no folder at all"
