"""Download of one file from a plain address: whole and as published, or not at all.

requests rather than urllib: it has a connect and a stall timeout, proxies, certificates of its own
and a check of the length, all of which urllib leaves to its caller.
"""

import os
import pathlib
from collections.abc import Callable

from kerasvit.conversion.sources import addresses
from kerasvit.conversion.sources.patience import Limits
from kerasvit.digests import SHA256_START
from kerasvit.errors import DownloadError, UsageError
from kerasvit.files import atomic_path


def fetch(
    url: str,
    path: str | os.PathLike,
    *,
    sha256: str | None = None,
    check: Callable[[pathlib.Path], None] | None = None,
    limits: Limits | None = None,
) -> None:
    """Download a file; what stood at `path` before stays if that fails.

    The bytes go to a temporary file of a unique name in the same folder, which takes the path's
    place when it is whole and verified. So any number of processes may fetch the same path.

    Args:
        url: an https address; http for this machine's own (loopback) alone.
        path: the file to write; its folder must exist.
        sha256: the published digest, or its first 8 digits or more, in either case.
        check: called with the temporary file before it takes the path's place; it raises for a
            file that must not.
        limits: None for those of the environment.

    Raises:
        DownloadError: if the server refuses, fails, is too slow, breaks off, sends the caller to an
            address that is not https, or from the internet into a network, or sends other bytes
            than were published, or packed ones; also if neither a length nor a hash tells whether
            the file is whole.
        OutputError: if the file can't be written.
        UsageError: if the address or the digest is malformed.
    """
    from kerasvit.conversion.sources.receiving import receive

    limits = limits or Limits.from_environment()
    expected = check_digest(sha256)
    if not addresses.is_allowed(url):
        raise UsageError(
            f"A file is downloaded from an https address. Received: {url!r}. "
            "Pass one, or the path of a file that you have"
        )
    with atomic_path(path, overwrite=True) as temporary:
        received = receive(url, temporary, expected, limits)
        if not received.startswith(expected or ""):
            raise DownloadError(
                f"{addresses.shown(url)!r} did not give the published file: its sha256 must be "
                f"{expected}. Received: {received}. Nothing was kept; ask the publisher"
            )
        if check:
            check(temporary)


def check_digest(sha256: str | None) -> str | None:
    """Return a digest in lower case.

    Raises:
        UsageError: if it is not 8 to 64 hexadecimal digits.
    """
    if sha256 is not None and not SHA256_START.fullmatch(sha256.lower()):
        raise UsageError(
            "sha256 must be 64 hexadecimal digits, or the first 8 or more of them. "
            f"Received: {sha256!r}. Copy it from the source"
        )
    return sha256.lower() if sha256 else None
