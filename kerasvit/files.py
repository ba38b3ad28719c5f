"""Writing a file so that it is either the old one or the new one, whole, and never in between.

Here it is decided, for every room, whether a file may be written: `check_outputs` before any work,
`atomic_path` when the work is done.
"""

import contextlib
import errno
import os
import pathlib
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasvit.errors import KerasViTError, OutputError
from kerasvit.temporary import make_folders, remove_stale, temporary_name

# Linux allows 255 bytes a name; a longer suffix is cut so that the temporary name always fits.
_LONGEST_SUFFIX = 100
_HDF5_ERRNO = re.compile(r"\berrno = (\d+)")
# What the disk, and nothing else, can be the reason of.
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[pathlib.Path]:
    """Lend a temporary path that takes the place of `path` if the block succeeds.

    What can be checked is checked before the block runs, so that no long work is done for a file
    that cannot be written. The temporary file is made at once, empty, under a hidden unique name
    with the same suffixes, in the same folder (a rename is atomic only within a file system). When
    the block ends it is flushed to the disk, gets the old file's permissions and is renamed. When
    the block raises, it is removed and the old file is untouched. A symbolic link stays a link:
    the file that it points to is replaced.

    Args:
        path: the file to write.
        overwrite: whether an existing file may be replaced.

    Yields:
        The temporary path, to be written to, or replaced, inside the block.

    Raises:
        OutputError: if the folder is missing or not writable, the target is a folder or a device,
            the target exists and `overwrite` is false, or an `OSError` ends the block.
    """
    target = pathlib.Path(path)
    with _errors_naming(target):
        place = pathlib.Path(os.path.realpath(target))
        mode = _check_target(target, place, overwrite)
        temporary, new_mode = _create_temporary(place)
        try:
            yield temporary
            _commit(temporary, target, place, overwrite, new_mode if mode is None else mode)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_outputs(
    paths: Iterable[str | os.PathLike[str]],
    *,
    overwrite: bool = False,
    inputs: Iterable[object] = (),
    make_folders: bool = False,
) -> None:
    """See, before any work, that files can be written: by the rules of `atomic_path`, and a trial.

    Args:
        paths: the files to write.
        overwrite: whether existing files may be replaced.
        inputs: what the files are made from; none of them may be written over. Those that are no
            paths of files are passed over, so that any source can be named.
        make_folders: whether missing folders are made.

    Raises:
        OutputError: if one of the files cannot be written; nothing has been made then but folders.
    """
    targets = [pathlib.Path(path) for path in paths]
    _refuse_inputs(targets, inputs)
    for target in targets:
        with _errors_naming(target):
            place = pathlib.Path(os.path.realpath(target))
            if os.path.exists(place.parent) or not make_folders:
                _check_target(target, place, overwrite)
    for target in {target.parent: target for target in targets}.values():
        if make_folders:
            make_folder(target.parent)
        with _errors_naming(target):
            _create_temporary(pathlib.Path(os.path.realpath(target)))[0].unlink()


def _refuse_inputs(targets: Iterable[pathlib.Path], inputs: Iterable[object]) -> None:
    sources = [path for path in inputs if isinstance(path, str | os.PathLike)]
    files = {_identity(path) for path in sources if os.path.isfile(path)} - {None}
    for target in targets if files else ():
        if _identity(target) in files:
            raise OutputError(
                "An output must not be one of the inputs, but another file than its source. "
                f"Received: {str(target)!r}, which is both. Choose another output (-o)"
            )


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what two names of one file share, such as links; None where there is no file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder for outputs, and those above it, where it is missing.

    Raises:
        OutputError: if it cannot be made, or is a file.
    """
    try:
        make_folders(folder)
    except OSError as error:
        raise OutputError(
            f"The output folder cannot be made. Received: {os.fspath(folder)!r}: {error.strerror}. "
            "Choose another one (-o)"
        ) from error


@contextlib.contextmanager
def _errors_naming(target: pathlib.Path) -> Iterator[None]:
    """Turn an `OSError` into an `OutputError` of one line; our own errors pass unchanged."""
    try:
        yield
    except KerasViTError:
        raise
    except (OSError, RuntimeError) as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise OutputError(
            f"{str(target)!r} could not be written: {reason}. "
            "What was there before is untouched. Free the disk or choose another output."
        ) from error


def _reason(error: OSError | RuntimeError) -> str | None:
    """Return what the system said, in one line; None for an error that is none of the system's.

    HDF5 tells of a full disk in many lines, and with a RuntimeError where it closes the file;
    PyTorch, while it handles the first error, stumbles over how short the file is.
    """
    number = _HDF5_ERRNO.search(str(error))
    if number is not None:
        return os.strerror(int(number[1]))
    first: BaseException | None = error
    while first is not None and not isinstance(first, OSError):
        first = first.__context__
    if first is None or (first is not error and first.errno not in _OF_DISKS):
        return None
    return " ".join((first.strerror or str(first)).split()) or type(first).__name__


def _check_target(target: pathlib.Path, place: pathlib.Path, overwrite: bool) -> int | None:
    """Return the permissions of the file that stands at `place`, or None where there is none."""
    folder = place.parent
    if not os.path.isdir(folder):
        problem = "is not a folder" if os.path.exists(folder) else "does not exist"
        raise OutputError(
            f"{str(target)!r} cannot be written: its folder {problem}. "
            f"Received: {str(folder)!r}. Create the folder or choose another output."
        )
    try:
        status = os.stat(place)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(
            f"{str(target)!r} cannot be written: it is a folder. Name a file inside it."
        )
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(
            f"{str(target)!r} cannot be written: it is not a regular file. Choose another output."
        )
    if not overwrite:
        raise OutputError(
            f"{str(target)!r} exists and is kept. Pass overwrite=True (--overwrite), or "
            "choose another output (-o)."
        )
    return stat.S_IMODE(status.st_mode)


def _create_temporary(place: pathlib.Path) -> tuple[pathlib.Path, int]:
    """Create the empty temporary file; its permissions follow the process' umask."""
    remove_stale(place.parent)
    suffix = "".join(place.suffixes)
    if len(os.fsencode(suffix)) > _LONGEST_SUFFIX:
        suffix = ""
    temporary = place.with_name(temporary_name(suffix))
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return temporary, stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _commit(
    temporary: pathlib.Path, target: pathlib.Path, place: pathlib.Path, overwrite: bool, mode: int
) -> None:
    _synchronise(temporary)
    os.chmod(temporary, mode)
    # Again: a file may have appeared during the block.
    _check_target(target, place, overwrite)
    os.replace(temporary, place)
    # The new file is in place and whole; not every file system can flush a folder.
    with contextlib.suppress(OSError):
        _synchronise(place.parent)


def _synchronise(path: pathlib.Path) -> None:
    # Windows flushes only descriptors that are open for writing.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_npz(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], overwrite: bool = False
) -> None:
    """Write arrays to a compressed `.npz` file, atomically; equal arrays give equal bytes.

    Args:
        path: the file to write; its name is used as it is.
        arrays: by name, none of dtype object.
        overwrite: whether an existing file may be replaced.

    Raises:
        ValueError: for an array of objects.
        OutputError: as `atomic_path`.
    """
    # NumPy refuses them by an argument that 1.26 takes for one more array.
    objects = [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]
    if objects:
        raise ValueError(f"Arrays hold numbers or text, no objects. Received objects in {objects}")
    named: dict[str, Any] = dict(arrays)
    with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **named)
