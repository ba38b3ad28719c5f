"""Folders below a folder, each once, however links run in circles; and what a pattern matches."""

import collections
import fnmatch
import glob
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

LeaveOut = Callable[[pathlib.Path, str], None]

WILD = re.compile(r"[*?[]")
# What macOS packs beside the files of an archive, and what other programs hide.
_HIDDEN = (".", "__MACOSX")


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is not meant to be seen."""
    return name.startswith(_HIDDEN)


def walk(
    root: str | os.PathLike[str], leave_out: LeaveOut = lambda path, reason: None
) -> Iterator[tuple[pathlib.Path, list[str], list[str]]]:
    """Go through a folder and all below it, links to folders included, like `os.walk`.

    A folder is known by its device and inode, so each is visited once: by its own path, where it
    has one below the root, and not by a link. A link to a folder that holds the root leads in a
    circle, and is left out too.

    Args:
        root: the folder to start from.
        leave_out: called with the path of a folder that is not visited, and why.

    Yields:
        A folder, and the sorted names of the folders and of the other entries in it. Hidden folders
        are not visited, nor those that the caller takes out of the list.
    """
    visited = _above(root)
    waiting = collections.deque([pathlib.Path(root)])
    links: collections.deque[pathlib.Path] = collections.deque()
    while waiting or links:
        folder = (waiting or links).popleft()
        try:
            if not _is_new(folder, visited):
                leave_out(folder, "a folder that is gone through already, by a link to it")
                continue
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            leave_out(folder, f"a folder that cannot be listed: {error.strerror}")
            continue
        folders = {entry.name: entry for entry in entries if _is_folder(entry)}
        names = list(folders)
        yield folder, names, [entry.name for entry in entries if entry.name not in folders]
        for name in names:
            if is_hidden(name):
                leave_out(folder / name, "hidden")
            else:
                (links if folders[name].is_symlink() else waiting).append(folder / name)


def _above(root: str | os.PathLike[str]) -> set[tuple[int, int]]:
    """Return which folders hold the root, by device and inode."""
    known: set[tuple[int, int]] = set()
    for folder in pathlib.Path(os.path.realpath(root)).parents:
        try:
            _is_new(folder, known)
        except OSError:
            break
    return known


def _is_new(folder: pathlib.Path, visited: set[tuple[int, int]]) -> bool:
    """Note a folder as visited, and return whether it was not before."""
    status = os.stat(folder)
    key = status.st_dev, status.st_ino
    is_new = key not in visited
    visited.add(key)
    return is_new


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def expand(pattern: str, leave_out: LeaveOut = lambda path, reason: None) -> list[pathlib.Path]:
    """Return what a pattern matches.

    Python's own `glob` follows links in circles where the pattern has `**`.

    Args:
        pattern: with `*`, `?`, `[...]`, or `**` for any number of folders.
        leave_out: as for `walk`.
    """
    parts = pathlib.PurePath(pattern).parts
    if "**" not in parts:
        return [pathlib.Path(name) for name in glob.glob(pattern)]
    fixed = next(number for number, part in enumerate(parts) if WILD.search(part))
    root = pathlib.Path(*parts[:fixed])
    if not os.path.isdir(root):
        return []
    matches = []
    for folder, _, files in walk(root, leave_out):
        place = folder.relative_to(root)
        matches += [
            folder / name for name in files if _is_match((*place.parts, name), parts[fixed:])
        ]
    return matches


def _is_match(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Return whether the parts of a path match those of a pattern, `**` any number of them."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_is_match(names[count:], patterns[1:]) for count in range(len(names) + 1))
    return (
        bool(names)
        and fnmatch.fnmatch(names[0], patterns[0])
        and _is_match(names[1:], patterns[1:])
    )
