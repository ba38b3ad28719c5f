"""What a file is, told by its first bytes and never by its suffix."""

import codecs
import pathlib
import re
import stat
import zipfile

from kerasvit.conversion.files.other_formats import (
    OTHER_FORMATS,
    ZIP_MEMBERS,
    distributed_advice,
)
from kerasvit.conversion.files.pickle_scan import is_pickle, unusual_globals
from kerasvit.errors import InputError, KerasViTError
from kerasvit.untrusted import archives

# torch.save's own magic number, pickled: the start of every file in its format before 1.6.
_TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_MAX_SAFETENSORS_HEADER = 100_000_000
_HEAD = 4096

# The zip format: a record of 22 bytes and a comment; its count of members is 65535 where a
# larger record before it holds the count.
_MAX_END_RECORD = 22 + 65535
_COUNT_IS_ELSEWHERE = 65535
_SCANNED = 16 * 2**20
_ACCEPTED = "a checkpoint is a file of torch.save, safetensors or an .npz"


def sniff(path: pathlib.Path) -> str:
    """Return `"torch"`, `"torch-legacy"`, `"safetensors"` or `"npz"`.

    Reads the first bytes, and of a zip archive the list of its members. Opens regular files only.

    Args:
        path: the file.

    Raises:
        InputError: for anything else, with what the file is: missing, a folder, empty, a web
            page, a git-lfs pointer, text, another archive, a Keras or HDF5 file, a TorchScript
            archive, a plain pickle (with the names it imports), or a truncated file.
    """
    head, size = _read_head(path)
    if advice := distributed_advice(path):
        kind = "is one file of a distributed checkpoint of torch"
        raise _refusal(path, kind, head, advice)
    if head.startswith(b"PK"):
        return _sniff_zip(path)
    if head.startswith(_TORCH_LEGACY):
        return "torch-legacy"
    header = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and header <= _MAX_SAFETENSORS_HEADER:
        return _sniff_safetensors(path, header, size)
    for other in OTHER_FORMATS:
        if other.matches(head):
            raise _refusal(path, f"is {other.kind}", head, other.advice)
    if head[257:262] == b"ustar":
        raise _refusal(
            path, "is a tar archive", head, "unpack it, or save it again with torch.save"
        )
    _refuse_pickle(path, head)
    _refuse_text(path, head)
    raise _refusal(path, "is of no known format, or damaged", head, "get the file again")


def check_archive(path: pathlib.Path) -> None:
    """Read every member of a zip archive, within its limits, and compare it with its checksum.

    torch writes checksums into its archives and does not check them when it loads.

    Raises:
        InputError: naming the first damaged member, or what the archive asks for.
    """
    try:
        names = list(archives.check_archive(path))
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except KerasViTError:
        raise
    except Exception as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if damaged is not None:
        raise _damaged(path, repr(damaged))
    if _member_count(path) not in (len(names), _COUNT_IS_ELSEWHERE):
        raise _damaged(path, f"{len(names)} members of {_member_count(path)}")


def _member_count(path: pathlib.Path) -> int:
    """Return the number of members by the archive's end record, which `zipfile` ignores."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MAX_END_RECORD))
        end = file.read()
    start = end.rindex(b"PK\x05\x06")
    return int.from_bytes(end[start + 10 : start + 12], "little")


def _damaged(path: pathlib.Path, received: str) -> InputError:
    return InputError(
        f"{str(path)!r} is damaged: a member of the archive is missing or fails its checksum. "
        f"Received: {received}. Get the file again"
    )


def _read_head(path: pathlib.Path) -> tuple[bytes, int]:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(
                f"{str(path)!r} is a folder; a checkpoint is one file. Received: a folder. "
                "Pass the file inside it"
            )
        if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait forever
            raise InputError(
                f"{str(path)!r} is not a regular file; {_ACCEPTED}. Received: a device or pipe. "
                "Save it to a file first"
            )
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"The checkpoint {str(path)!r} can't be opened; it must be a readable file. "
            f"Received: {reason}. Check the path"
        ) from error
    if not head:
        raise InputError(
            f"{str(path)!r} is empty; {_ACCEPTED}. Received: 0 bytes. Get the file again"
        )
    return head, status.st_size


def _sniff_zip(path: pathlib.Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:
        raise InputError(
            f"{str(path)!r} is truncated or damaged: it starts as a zip archive, and the archive's "
            f"index does not follow. Received: {error}. Get the file again"
        ) from error
    bases = {name.split("/", 1)[-1] for name in names}
    if "constants.pkl" in bases and "data.pkl" in bases:
        advice = "save the weights: torch.save(torch.jit.load(path).state_dict(), new_path)"
        raise _refusal(path, "is a TorchScript archive, which holds code", None, advice)
    for pattern, kind, advice in ZIP_MEMBERS:
        if any(re.fullmatch(pattern, name) for name in names):
            raise _refusal(path, kind, None, advice)
    if "data.pkl" in bases:
        return "torch"
    if "config.json" in names and {"metadata.json", "model.weights.h5"} & set(names):
        raise _refusal(
            path, "is a Keras .keras file, already past conversion", None, "load it with Keras"
        )
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    received = f"an archive of {len(names)} members, {', '.join(map(repr, names[:3]))}"
    raise InputError(
        f"{str(path)!r} is a zip archive without weights; {_ACCEPTED}. Received: {received}. "
        "Unpack it and pass the checkpoint inside"
    )


def _sniff_safetensors(path: pathlib.Path, header: int, size: int) -> str:
    if 8 + header > size:
        raise InputError(
            f"{str(path)!r} is truncated: its safetensors header alone needs {8 + header} bytes. "
            f"Received: {size} bytes. Get the file again"
        )
    return "safetensors"


def _refuse_pickle(path: pathlib.Path, head: bytes) -> None:
    with path.open("rb") as file:
        data = file.read(_SCANNED)
    has_protocol = head[0] == 0x80 and head[1:2] <= b"\x05"
    if not has_protocol and not is_pickle(data):
        return
    names = unusual_globals(data)
    raise InputError(
        f"{str(path)!r} is a plain Python pickle, and reading one can run code; {_ACCEPTED}. "
        f"Received: a pickle that refers to {', '.join(names) or 'plain containers'}. Where you "
        "trust it, load it and save the state dict with torch.save or safetensors"
    )


def _refuse_text(path: pathlib.Path, head: bytes) -> None:
    try:
        # Incremental: the last character of the head may be cut.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return
    text = " ".join(text.split())
    if not text.isprintable() or not text:
        return
    if text.startswith("<"):
        advice = "download the file itself, not the page about it"
        raise _refusal(path, "is a web page, not the weights", text.encode(), advice)
    raise _refusal(path, "is text, not weights", text.encode(), "pass the checkpoint")


def _refusal(path: pathlib.Path, kind: str, head: bytes | None, advice: str) -> InputError:
    received = f"{path.name!r}" if head is None else f"first bytes {head[:40]!r}"
    advice = advice[0].upper() + advice[1:]
    return InputError(f"{str(path)!r} {kind}; {_ACCEPTED}. Received: {received}. {advice}")
