"""Pictures that are no files yet: the standard input and addresses, while the process lives."""

import dataclasses
import functools
import os
import pathlib
import re
import sys
import tempfile
import urllib.parse
from collections.abc import Iterable

from kerasvit.cache import is_offline
from kerasvit.errors import DownloadError, InputError, UsageError
from kerasvit.images.kinds import suffix_of
from kerasvit.temporary import remove_stale, scratch_errors, temporary_name

STANDARD_INPUT = "-"
# Longer than any photograph; a video of some minutes fits.
MAX_BYTES = 2**30
_CHUNK = 2**20
# What users called the temporary files of this process.
_names: dict[str, str] = {}
_NO_NAME = re.compile(r"[^\w.\- ]+")


def is_address(text: str) -> bool:
    """Return whether an input is the address of a file elsewhere."""
    return re.match(r"(?i)https?://", text) is not None


def refuse_scheme(text: str) -> None:
    """Refuse an address of another kind, such as `file:///...` or `ftp://...`.

    Raises:
        UsageError: if the text is one.
    """
    scheme = re.match(r"(?i)[a-z][a-z0-9+.-]+:/{2,}", text)  # A single letter is a drive.
    if scheme is not None:
        raise UsageError(
            "An input is a file, a folder, a pattern, sample:NAME, an address https://... or -. "
            f"Received: an address {scheme[0]}... Pass the path of a file on this machine"
        )


def checked(inputs: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return inputs as texts; raise `UsageError` if the standard input, read once, comes twice."""
    texts = [os.fspath(text) for text in inputs]
    if texts.count(STANDARD_INPUT) > 1:
        raise UsageError(
            "The standard input is one picture. Received: - more than once. Name it once"
        )
    return texts


def shown(address: str) -> str:
    """Return an address without what may be secret in it: the password and the query."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        return "an address that is none"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def download(address: str) -> pathlib.Path:
    """Download a picture or video to a temporary folder, under the name that its address has.

    It is fetched as weights are: from https, or http of this machine alone; with time limits; and
    not at all where `KERASVIT_OFFLINE` forbids the network.

    Args:
        address: where the file is.

    Raises:
        DownloadError: if it cannot be had, or is larger than `MAX_BYTES`.
        UsageError: if the address is not allowed.
    """
    from kerasvit.conversion.sources.fetch import Limits, fetch

    if is_offline():
        raise DownloadError(
            f"{shown(address)!r} is elsewhere, and the network is forbidden. Received: "
            "KERASVIT_OFFLINE or HF_HUB_OFFLINE. Unset it, or name a file"
        )
    name = urllib.parse.unquote(urllib.parse.urlsplit(address).path).rpartition("/")[2]
    name = _NO_NAME.sub("_", name)[-100:].lstrip(".") or "picture"
    place = _new_folder() / name
    limits = dataclasses.replace(Limits.from_environment(), max_bytes=MAX_BYTES)
    fetch(address, place, limits=limits)
    return _named(_with_suffix(place), shown(address))


def read_standard_input() -> pathlib.Path:
    """Write what comes on the standard input to a temporary file, and return it.

    Raises:
        InputError: if nothing comes, or more than `MAX_BYTES`.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        raise InputError(
            "The standard input gives a picture's bytes. Received: a terminal, or nothing. "
            "Pipe a file into it: kerasvit saliency - < cat.jpg"
        )
    place, count = _new_folder() / "stdin", 0
    with scratch_errors(), open(place, "wb") as file:
        while chunk := stream.read(_CHUNK):
            count += len(chunk)
            if count > MAX_BYTES:
                raise InputError(
                    f"The standard input gives up to {MAX_BYTES} bytes. Received: more. "
                    "Save it to a file, and name that."
                )
            file.write(chunk)
    if not count:
        raise InputError(
            "The standard input gives a picture's bytes. Received: none. See what writes to it."
        )
    return _named(_with_suffix(place), STANDARD_INPUT)


def name_of(path: str | os.PathLike[str]) -> str:
    """Return what a user called a file: what has arrived here lies under a name of ours."""
    text = os.fspath(path)
    return _names.get(text, text)


def _named(place: pathlib.Path, name: str) -> pathlib.Path:
    _names[str(place)] = name
    return place


def _with_suffix(place: pathlib.Path) -> pathlib.Path:
    """Return a file renamed so that its ending tells what it is, where a video has none."""
    with open(place, "rb") as file:
        suffix = suffix_of(file.read(1024))
    if suffix is None or place.suffix:
        return place
    return place.rename(place.with_name(place.name + suffix))


def _new_folder() -> pathlib.Path:
    with scratch_errors():
        folder = pathlib.Path(_all_arrivals().name, temporary_name())
        folder.mkdir()
        return folder


@functools.cache
def _all_arrivals() -> "tempfile.TemporaryDirectory[str]":
    """Return the folder of this process, which is removed when it ends."""
    remove_stale(tempfile.gettempdir())
    return tempfile.TemporaryDirectory(prefix=temporary_name("."))
