"""The pictures that a command line names: files, folders, patterns and samples."""

import glob
import os
import pathlib
from collections.abc import Iterable, Sequence

from kerasvit.errors import InputError
from kerasvit.images.samples import sample

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_SAMPLE = "sample:"


def resolve(inputs: Sequence[str], more_suffixes: Sequence[str] = ()) -> list[pathlib.Path]:
    """Turn what a user typed into the list of picture files.

    Args:
        inputs: each one a file (whatever its suffix), a folder (its pictures, not those of
            subfolders), a pattern with `*`, `?`, `[...]` or `**` (its pictures), or `sample:NAME`.
            A file whose name looks like a pattern is taken as the file.
        more_suffixes: of other files that folders and patterns may hold, such as `".mp4"`.

    Returns:
        Paths in the order of `inputs`; those of a folder or pattern sorted by name without regard
        to case. A path that comes up twice is kept once. Hidden files are passed over.

    Raises:
        InputError: if an input does not exist, or a folder or pattern holds no picture.
        UsageError: if a sample is unknown or scikit-image is not installed.
    """
    suffixes = (*SUFFIXES, *more_suffixes)
    paths = [path for text in inputs for path in _resolve_one(os.fspath(text), suffixes)]
    return list(dict.fromkeys(paths))


def _resolve_one(text: str, suffixes: Sequence[str]) -> list[pathlib.Path]:
    if text.startswith(_SAMPLE):
        return [sample(text.removeprefix(_SAMPLE))]
    if os.path.isdir(text):
        return _pictures(_entries(text), f"The folder {text!r}", suffixes)
    if os.path.exists(text):
        return [pathlib.Path(text)]
    if any(character in text for character in "*?["):
        matches = map(pathlib.Path, glob.glob(text, recursive=True))
        return _pictures(matches, f"The pattern {text!r}", suffixes)
    raise InputError(
        f"There is no file or folder {text!r}. Check the name, or use sample:NAME "
        "for one of the photographs of scikit-image."
    )


def _entries(folder: str) -> list[pathlib.Path]:
    try:
        return list(pathlib.Path(folder).iterdir())
    except OSError as error:
        raise InputError(
            f"The folder {folder!r} cannot be listed. Received: {error.strerror}. "
            "Check its permissions."
        ) from error


def _pictures(
    paths: Iterable[pathlib.Path], where: str, suffixes: Sequence[str]
) -> list[pathlib.Path]:
    paths = list(paths)
    pictures = [
        path
        for path in paths
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    ]
    if not pictures:
        raise InputError(
            f"{where} has no picture ({', '.join(suffixes)}). "
            f"Received: {len(paths)} other entries. Name the files one by one, or another folder."
        )
    return sorted(pictures, key=lambda path: (str(path).lower(), str(path)))
