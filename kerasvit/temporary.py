"""Temporary files and folders: their hidden names, and how those of killed processes go away."""

import contextlib
import os
import re
import secrets
import shutil
import time

_TEMPORARY = re.compile(r"\.kerasvit-[0-9a-f]{16}(\..*)?")
# Longer than any writing, download or conversion leaves its file without a change.
_STALE_SECONDS = 24 * 3600


def temporary_name(suffix: str = "") -> str:
    """Return a new hidden name for a file or folder that `remove_stale` knows as temporary."""
    return f".kerasvit-{secrets.token_hex(8)}{suffix}"


def remove_stale(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files and folders that killed processes left; nothing reads them."""
    leftovers = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # it may be write-only
        leftovers = [entry for entry in entries if _TEMPORARY.fullmatch(entry.name)]
    for entry in leftovers:
        with contextlib.suppress(OSError):  # another process may be faster
            if time.time() - _last_change(entry) > _STALE_SECONDS:
                is_folder = entry.is_dir(follow_symlinks=False)
                shutil.rmtree(entry.path) if is_folder else os.unlink(entry.path)


def _last_change(entry: os.DirEntry[str]) -> float:
    """Return the time of a file, or of the newest thing in a folder."""
    times = [entry.stat(follow_symlinks=False).st_mtime]
    if entry.is_dir(follow_symlinks=False):
        with os.scandir(entry.path) as inside:
            times += [file.stat(follow_symlinks=False).st_mtime for file in inside]
    return max(times)
