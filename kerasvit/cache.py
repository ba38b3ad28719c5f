"""The folder that keeps what was downloaded and converted, each file with a record of its hash.

An entry is a folder with one file and `check.json`, made under another name and renamed when it is
whole. So an entry is complete or absent, whoever dies or writes at the same time, without a lock.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any, Self

from kerasvit.digests import file_sha256
from kerasvit.errors import KerasViTError, OutputError
from kerasvit.files import atomic_path
from kerasvit.temporary import remove_stale, temporary_name

_VARIABLE = "KERASVIT_CACHE"
_CHECK = "check.json"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EACCES)


def is_offline() -> bool:
    """Tell whether the user forbids the network: `KERASVIT_OFFLINE=1` or `HF_HUB_OFFLINE=1`."""
    values = (os.environ.get(name, "") for name in ("KERASVIT_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value.lower() in ("1", "true", "yes", "on") for value in values)


def cache_folder() -> pathlib.Path:
    """Return the cache folder, which need not exist yet.

    It is `$KERASVIT_CACHE`, else `$XDG_CACHE_HOME/kerasvit`, else `~/.cache/kerasvit`.

    Raises:
        OutputError: if none of the variables and no home folder is set.
    """
    if own := os.environ.get(_VARIABLE):
        return pathlib.Path(os.path.abspath(os.path.expanduser(own)))
    # A relative path must be ignored, says the XDG Base Directory Specification 0.8.
    if os.path.isabs(shared := os.environ.get("XDG_CACHE_HOME", "")):
        return pathlib.Path(shared) / "kerasvit"
    if os.environ.get("USERPROFILE" if os.name == "nt" else "HOME"):
        return pathlib.Path.home() / ".cache" / "kerasvit"
    raise OutputError(
        "There is no place for the cache: HOME is not set. Received: neither it nor "
        f"{_VARIABLE}. Set {_VARIABLE} to a folder that can be written"
    )


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of the cache.

    Args:
        kind: folder of the cache, "downloads" or "converted".
        name: folder of the entry.
        sha256: published digest of the file in lower case, or its first digits; None if unknown.
    """

    kind: str
    name: str
    sha256: str | None = None

    @classmethod
    def of(cls, kind: str, label: str, identity: Any, sha256: str | None = None) -> Self:
        """Name an entry after what decides its content.

        Args:
            kind: as above.
            label: start of the name, for people.
            identity: what decides the content, a value that JSON can hold.
            sha256: as above.
        """
        key = json.dumps(identity, sort_keys=True).encode()
        return cls(kind, f"{safe_name(label)}-{hashlib.sha256(key).hexdigest()[:16]}", sha256)

    @property
    def folder(self) -> pathlib.Path:
        """Where the file lies, or will lie."""
        return cache_folder() / self.kind / self.name

    def find(self, thorough: bool = False) -> pathlib.Path | None:
        """Return the file if it is there and is what was stored, else None.

        The size is compared always, the hash when the file's time is not that of the last check.

        Args:
            thorough: whether the hash is compared in any case, for files whose readers do not
                notice a flipped bit.
        """
        return _intact_file(self.folder, self.sha256, thorough)

    @contextlib.contextmanager
    def fill(self, filename: str) -> Iterator[pathlib.Path]:
        """Lend a path to write the file to; it becomes the entry if the block succeeds.

        An intact entry that another process has made meanwhile is kept, and this one dropped; a
        damaged one, or one with another hash, is replaced.

        Args:
            filename: name of the file in the entry's folder.

        Raises:
            OutputError: if the cache can't be written; the message names the variable to set.
        """
        place = self.folder
        with _errors_naming(cache_folder()):
            place.parent.mkdir(parents=True, exist_ok=True)
            remove_stale(place.parent)
            temporary = place.parent / temporary_name()
            temporary.mkdir()
            try:
                yield temporary / filename
                _write_check(temporary / filename, file_sha256(temporary / filename))
                _publish(temporary, place, self.sha256)
            finally:
                _remove(temporary)

    def discard(self) -> None:
        """Remove the entry, for a file that turned out to be useless."""
        _move_aside(self.folder)


def safe_name(name: str) -> str:
    """Return a name that every file system takes: its last 80 letters, digits, ".", "_" and "-"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:].lstrip(".") or "file"


@contextlib.contextmanager
def _errors_naming(root: pathlib.Path) -> Iterator[None]:
    """Turn what the file system refuses into an `OutputError` that names the variable to set."""
    try:
        yield
    except (OutputError, OSError) as error:
        if isinstance(error, KerasViTError) and not isinstance(error, OutputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"The cache {str(root)!r} must be a folder that can be written. "
            f"Received: {reason.rstrip('.')}. Set {_VARIABLE} to another folder"
        ) from error


def _intact_file(
    folder: pathlib.Path, sha256: str | None, thorough: bool = False
) -> pathlib.Path | None:
    try:
        check = json.loads((folder / _CHECK).read_text(encoding="utf-8"))
        path = folder / pathlib.PurePath(check["file"]).name
        status = path.stat()
        if status.st_size != check["size"] or not check["sha256"].startswith(sha256 or ""):
            return None
        is_known = status.st_mtime_ns == check["mtime_ns"]
        if thorough or not is_known:
            if file_sha256(path) != check["sha256"]:
                return None
            # A cache that only others may write is as good.
            if not is_known:
                with contextlib.suppress(OutputError):
                    _write_check(path, check["sha256"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return path


def _write_check(path: pathlib.Path, sha256: str) -> None:
    status = path.stat()
    check: dict[str, Any] = {
        "file": path.name,
        "size": status.st_size,
        "sha256": sha256,
        "mtime_ns": status.st_mtime_ns,
    }
    with atomic_path(path.with_name(_CHECK), overwrite=True) as temporary:
        temporary.write_text(json.dumps(check), encoding="utf-8")


def _publish(temporary: pathlib.Path, place: pathlib.Path, sha256: str | None) -> None:
    """Rename the finished folder, which the system refuses where another one stands."""
    for number in range(100):
        try:
            os.rename(temporary, place)
            return
        except OSError as error:
            # Again, for another process may come and go in between; but not for ever.
            if error.errno not in _TAKEN or number == 99:
                raise
        if _intact_file(place, sha256, thorough=True):
            return
        _move_aside(place)


def _move_aside(place: pathlib.Path) -> None:
    """Remove a folder so that no process sees half of it."""
    aside = place.with_name(temporary_name())
    with contextlib.suppress(FileNotFoundError):
        os.rename(place, aside)
    _remove(aside)


def _remove(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink() if path.is_file() or path.is_symlink() else shutil.rmtree(path)
