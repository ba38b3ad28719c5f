"""Putting the files of an export in their place, each whole, and none if something fails."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from kerasvit.errors import OutputError
from kerasvit.files import atomic_path
from kerasvit.temporary import exchange, remove_stale, temporary_name


@contextlib.contextmanager
def new_files(
    targets: list[pathlib.Path], folder: pathlib.Path | None, overwrite: bool
) -> Iterator[list[pathlib.Path]]:
    """Lend paths in a hidden folder; what is there when the block ends takes the targets' places.

    Args:
        targets: the files to write, checked before the block runs.
        folder: one more output, which is a folder, or None.
        overwrite: whether what exists may be replaced.

    Yields:
        A path for each of the targets, then one for the folder, all by their final names.

    Raises:
        OutputError: as `kerasvit.files.atomic_path`.
    """
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(atomic_path(target, overwrite)) for target in targets]
        if folder is not None:
            check_folder(folder, overwrite)
        parent = targets[0].parent.resolve()
        scratch = stack.enter_context(_scratch(parent))
        made = [scratch / target.name for target in targets]
        yield [*made, *([scratch / folder.name] if folder else [])]
        if folder is not None:
            replace_folder(scratch / folder.name, folder, overwrite)
        for path, place in zip(made, places, strict=True):
            os.replace(path, place)


@contextlib.contextmanager
def _scratch(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    remove_stale(parent)
    folder = parent / temporary_name()
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_folder(folder: pathlib.Path, overwrite: bool) -> None:
    """Raise `OutputError` unless a folder may be written."""
    if folder.is_symlink() or (os.path.exists(folder) and not os.path.isdir(folder)):
        raise OutputError(
            f"{str(folder)!r} cannot be written: it must be a folder. Received: a file or a link. "
            "Choose another output."
        )
    if os.path.exists(folder) and any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{str(folder)!r} exists and is kept. Ask for overwriting or choose another output."
        )


def replace_folder(new: pathlib.Path, folder: pathlib.Path, overwrite: bool) -> None:
    """Put a folder in the place of another one; the old one goes only once the new one is there."""
    check_folder(folder, overwrite)
    if os.path.exists(folder) and exchange(new, folder):
        shutil.rmtree(new, ignore_errors=True)
        return
    old = new.with_name(f"{new.name}.old")
    if os.path.exists(folder):
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError as error:
        if os.path.exists(old):
            os.replace(old, folder)
        raise OutputError(
            f"{str(folder)!r} could not be written: {error.strerror}. Choose another output."
        ) from error
    shutil.rmtree(old, ignore_errors=True)
