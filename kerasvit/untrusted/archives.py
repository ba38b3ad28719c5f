"""Zip archives of strangers: `.keras`, `.npz`, `.pth`."""

import collections
import io
import os
import pathlib
import zipfile
from typing import BinaryIO

from kerasvit.errors import InputError
from kerasvit.untrusted.limits import UNPACKED, check_bytes, check_entries

# Both are unpacked in steps of a size that the reader chooses; bzip2 and LZMA are not.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
# Of the zip format: what stands before a member's name, whose length it says.
_LOCAL_HEADER = 30


def check_archive(
    path: str | os.PathLike[str], unpacked: int = UNPACKED
) -> dict[str, zipfile.ZipInfo]:
    """Return the members of a zip archive by name, none of them unpacked.

    Args:
        path: the archive.
        unpacked: what it may unpack to, however small it is; see `allowed_bytes`.

    Raises:
        InputError: if it has too many members, two of one name, one that is encrypted or packed
            in another way than numbers are, or more bytes than its size explains.
        OSError: if it can't be read.
        zipfile.BadZipFile: if it is no whole archive.
    """
    path = pathlib.Path(path)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    what, size = repr(str(path)), path.stat().st_size
    check_entries(what, len(members))
    counts = collections.Counter(member.filename for member in members)
    for name, count in counts.most_common(1):
        if count > 1:
            raise _damaged(path, f"two members of one name, {name[:100]!r}")
    for member in members:
        if member.compress_type not in _METHODS or member.flag_bits & _ENCRYPTED:
            raise _damaged(path, f"{member.filename[:100]!r}, packed in another way or encrypted")
    if sum(member.compress_size for member in members) > size:
        raise _damaged(path, "members that lie over one another")
    largest = max(members, key=lambda member: member.file_size, default=None)
    asked = sum(member.file_size for member in members)
    check_bytes(what, asked, size, unpacked, largest.filename[:100] if largest else "")
    return {member.filename: member for member in members}


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return the bytes of a member of which a reader wants few.

    Args:
        archive: whose members `check_archive` has seen.
        name: of the member.
        limit: how many bytes it may have.

    Raises:
        InputError: if it has more.
        zipfile.BadZipFile: if its bytes are damaged.
    """
    size = archive.getinfo(name).file_size
    if size > limit:
        raise InputError(
            f"{str(archive.filename)!r} has a member that is too long: {name!r} may have {limit} "
            f"bytes. Received: {size}. Get the file again"
        )
    return archive.read(name)


def open_member(path: pathlib.Path, member: zipfile.ZipInfo) -> BinaryIO:
    """Return a member as a file in which every place is as near as any other.

    One that is stored is read where it lies; `zipfile` would read all before a place to get there.
    Its checksum is not compared. One that is packed is unpacked into memory.

    Args:
        path: the archive, which `check_archive` has seen.
        member: of it.
    """
    if member.compress_type != zipfile.ZIP_STORED:
        with zipfile.ZipFile(path) as archive:
            return io.BytesIO(archive.read(member))
    file = path.open("rb")
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER)
    lengths = (int.from_bytes(header[place : place + 2], "little") for place in (26, 28))
    return io.BufferedReader(_Part(file, file.tell() + sum(lengths), member.file_size))


class _Part(io.RawIOBase):
    """The bytes of a file from `start` on, `size` of them."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        self._file, self._start, self._size, self._place = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}
        self._place = max(0, bases[whence] + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer) -> int:
        self._file.seek(self._start + self._place)
        length = min(len(buffer), max(0, self._size - self._place))
        count = self._file.readinto(memoryview(buffer)[:length])  # type: ignore[attr-defined]
        self._place += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _damaged(path: pathlib.Path, received: str) -> InputError:
    return InputError(
        f"{str(path)!r} is no archive that a program of weights writes: names once, stored or "
        f"deflated, side by side. Received: {received}. Get the file again"
    )
