"""Finding a folder per class, on disk or in a zip, and saying what is wrong with it."""

import collections
import os
import pathlib
import zipfile
from collections.abc import Iterator, Sequence

from kerasvit.errors import InputError
from kerasvit.images.inputs import SUFFIXES
from kerasvit.images.walking import walk

SPLITS = ("train", "training", "val", "valid", "validation", "test")
_SHOWN = 5


def class_folders(
    root: pathlib.Path, split: str | None, class_names: Sequence[str] | None
) -> tuple[dict[str, list[str]], bool]:
    """Return the pictures of each class by its name, sorted, and whether `root` is a zip.

    Arguments and errors are those of `kerasvit.training.data.folders.PictureFolder.scan`.
    """
    tree, is_zip = _tree(root)
    base = _base(tree, root, split)
    names = _classes(tree, root, base, class_names)
    found = tree.pictures(base, names)
    _check_classes(found, root, names, class_names is not None)
    return found, is_zip


class _Tree:
    """The files and folders below a root, relative to it, with `/` between names."""

    def __init__(self, files: list[str], folders: set[str]) -> None:
        self.files = [name for name in files if not _is_hidden(name)]
        folders = {name for name in folders if not _is_hidden(name)}
        for name in self.files:
            folders.update(_parents(name))
        self.below: dict[str, list[str]] = collections.defaultdict(list)
        for name in sorted(folders):
            parent, _, last = name.rpartition("/")
            self.below[parent].append(last)

    def pictures(self, base: str, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the sorted pictures below each of these folders of `base`."""
        found: dict[str, list[str]] = {name: [] for name in names}
        start = f"{base}/" if base else ""
        for file in self.files:
            if file.startswith(start) and file.lower().endswith(SUFFIXES):
                name, slash, _ = file[len(start) :].partition("/")
                if slash and name in found:
                    found[name].append(file)
        return {name: sorted(files) for name, files in found.items()}


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _tree(root: pathlib.Path) -> tuple[_Tree, bool]:
    """Return what lies below a folder or in a zip, and whether it is a zip."""
    if os.path.isdir(root):
        files: list[str] = []
        folders: set[str] = set()
        for folder, _, entries in walk(root):
            place = folder.relative_to(root)
            files += [(place / entry).as_posix() for entry in entries]
            if folder != root:
                folders.add(place.as_posix())
        return _Tree(files, folders), False
    if not os.path.isfile(root):
        raise InputError(
            f"There is no folder or zip {str(root)!r}. Pictures lie in a folder for each class. "
            "Check the name."
        )
    try:
        with zipfile.ZipFile(root) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"{str(root)!r} is no folder and cannot be read as a zip. Received: {error}. "
            "Name a folder with a folder for each class, or a zip of one."
        ) from error
    folders = {name.rstrip("/") for name in names if name.endswith("/")}
    return _Tree([name for name in names if not name.endswith("/")], folders), True


def _base(tree: _Tree, root: pathlib.Path, split: str | None) -> str:
    """Return the folder that holds the classes."""
    base = ""
    while True:
        below = tree.below[base]
        if split is not None and split in below:
            return f"{base}/{split}".lstrip("/")
        if len(below) != 1 or not tree.below[f"{base}/{below[0]}".lstrip("/")]:
            break
        base = f"{base}/{below[0]}".lstrip("/")
    if split is not None:
        raise InputError(
            f"{str(root)!r} has no folder {split!r}. Received: {_some(below)}. "
            "Choose one of these as the split, or none."
        )
    if below and set(below) <= set(SPLITS):
        raise InputError(
            f"{str(root)!r} holds splits, not classes. Received: {_some(below)}. Choose a split."
        )
    return base


def _classes(
    tree: _Tree, root: pathlib.Path, base: str, expected: Sequence[str] | None
) -> list[str]:
    names = tree.below[base]
    if not names:
        direct = sum(file.lower().endswith(SUFFIXES) for file in tree.files)
        raise InputError(
            f"{str(root / base)!r} must have a folder for each class, with its pictures "
            f"({', '.join(SUFFIXES)}). Received: no folders, {direct} pictures. Sort them in."
        )
    unknown = [name for name in names if expected is not None and name not in expected]
    if expected is not None and unknown:
        raise InputError(
            f"{str(root / base)!r} has folders that are no known class. "
            f"Received: {_some(unknown)}. The classes are {_some(expected)}."
        )
    return names


def _check_classes(
    found: dict[str, list[str]], root: pathlib.Path, names: list[str], fixed: bool
) -> None:
    empty = [name for name in names if not found[name]]
    if len(empty) == len(names):
        raise InputError(
            f"{str(root)!r} has no pictures ({', '.join(SUFFIXES)}) in its folders. "
            f"Received: the folders {_some(names)}. Check the path."
        )
    if empty:
        raise InputError(
            f"{str(root)!r} has a class without pictures. Received: {_some(empty)}. "
            "Fill the folder or remove it."
        )
    if len(names) < 2 and not fixed:
        raise InputError(
            f"{str(root)!r} has one class; there is nothing to tell apart. "
            f"Received: {_some(names)}. Add a folder for each further class."
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(map(repr, names[:_SHOWN])) or "nothing") + more
