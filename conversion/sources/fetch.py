"""Download of one file from a plain address: whole and as published, or not at all.

requests rather than urllib: it has a connect and a stall timeout, proxies, certificates of its own
and a check of the length, all of which urllib leaves to its caller.
"""

import contextlib
import dataclasses
import hashlib
import math
import os
import pathlib
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, Self

from kerasvit.conversion.sources import addresses
from kerasvit.digests import SHA256_START
from kerasvit.errors import DownloadError, UsageError
from kerasvit.files import atomic_path

_CHUNK = 2**18
_MAX_REDIRECTS = 10
_MAX_SECONDS = 3600


@dataclasses.dataclass(frozen=True)
class Limits:
    """How patient a download is.

    Args:
        connect: seconds until a connection stands.
        stall: seconds without a byte.
        tries: how often a file is asked for when the server fails (5xx) or drops the connection. A
            timeout is not tried again, so that the wait stays within it.
        backoff: seconds before the second try; each later wait is twice as long.
        max_bytes: the largest file that is taken; None for any.
    """

    connect: float = 10.0
    stall: float = 30.0
    tries: int = 3
    backoff: float = 1.0
    max_bytes: int | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Return the limits with `KERASVIT_CONNECT_TIMEOUT` and `KERASVIT_STALL_TIMEOUT`.

        Raises:
            UsageError: if one of them is no number of seconds in (0, 3600].
        """
        return cls(
            connect=_seconds("KERASVIT_CONNECT_TIMEOUT", cls.connect),
            stall=_seconds("KERASVIT_STALL_TIMEOUT", cls.stall),
        )


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
            address that is not https, or sends other bytes than were published; also if neither a
            length nor a hash tells whether the file is whole.
        OutputError: if the file can't be written.
        UsageError: if the address or the digest is malformed.
    """
    limits = limits or Limits.from_environment()
    expected = check_digest(sha256)
    if not addresses.is_allowed(url):
        raise UsageError(
            f"A file is downloaded from an https address. Received: {url!r}. "
            "Pass one, or the path of a file that you have"
        )
    with atomic_path(path, overwrite=True) as temporary:
        received = _receive_patiently(url, temporary, expected, limits)
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


class _Failure(Exception):
    """One try failed: what must hold, what was received, and whether another try may help."""

    def __init__(self, rule: str, received: str, passing: bool = False):
        super().__init__(f"{rule}. Received: {received}")
        self.passing = passing


def _receive_patiently(url: str, path: pathlib.Path, expected: str | None, limits: Limits) -> str:
    tries = 0
    while True:
        tries += 1
        try:
            return _receive(url, path, expected, limits)
        except _Failure as failure:
            if not failure.passing or tries >= limits.tries:
                count = f", {tries} times" if tries > 1 else ""
                raise DownloadError(
                    f"{addresses.shown(url)!r} could not be downloaded: {failure}{count}. Check "
                    "the address and the connection, or get the file otherwise and pass its path"
                ) from failure.__cause__
        time.sleep(limits.backoff * 2 ** (tries - 1))


def _receive(url: str, path: pathlib.Path, expected: str | None, limits: Limits) -> str:
    """Write the file's bytes and return their digest."""
    digest = hashlib.sha256()
    with _failures(limits), _answer(url, limits) as response, open(path, "wb") as file:
        length = _length(response, expected)
        _check_size(length, limits)
        with _progress(url, length) as progress:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                _check_size(file.tell(), limits)
                digest.update(chunk)
                progress.update(len(chunk))
    return digest.hexdigest()


def _check_size(count: int | None, limits: Limits) -> None:
    if limits.max_bytes is not None and (count or 0) > limits.max_bytes:
        raise _Failure(f"the file must have up to {limits.max_bytes} bytes", f"{count} or more")


@contextlib.contextmanager
def _answer(url: str, limits: Limits) -> Iterator[Any]:
    """Ask for a file, follow redirects as far as they are safe, and lend the answer."""
    import requests

    # Compressed on the way, a file of weights would be no shorter, and its length unknown.
    headers = {"Accept-Encoding": "identity", "User-Agent": "kerasvit"}
    options: dict[str, Any] = {"stream": True, "allow_redirects": False, "headers": headers}
    with requests.Session() as session:
        for _ in range(_MAX_REDIRECTS):
            with session.get(url, timeout=(limits.connect, limits.stall), **options) as response:
                target = session.get_redirect_target(response)
                if target is None:
                    _check_status(response)
                    yield response
                    return
                url = _redirected(url, target)
    raise _Failure("an address may redirect a few times", f"{_MAX_REDIRECTS} redirects")


def _redirected(url: str, target: str) -> str:
    new = urllib.parse.urljoin(url, target)
    if not addresses.may_redirect(url, new):
        host = addresses.shown(urllib.parse.urljoin(new, "/"))
        raise _Failure("redirects must lead to https", f"one to {host!r}")
    return new


def _check_status(response: Any) -> None:
    if response.status_code != 200:
        received = f"{response.status_code} {response.reason or ''}".strip()
        raise _Failure("the server must answer 200", received, response.status_code >= 500)


def _length(response: Any, expected: str | None) -> int | None:
    """Return the number of bytes to come; None where their end is known by other means."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        return int(length)
    if expected is None and not response.raw.chunked:
        raise _Failure("its length or its sha256 must be known", "neither; pass sha256=")
    return None


@contextlib.contextmanager
def _failures(limits: Limits) -> Iterator[None]:
    """Turn what goes wrong on the network into `_Failure`; the disk's errors pass."""
    import requests
    import urllib3.exceptions

    try:
        yield
    except requests.RequestException as error:
        inner = error.args[0] if error.args else None
        if isinstance(error, requests.ConnectTimeout):
            received = f"none in {limits.connect:g} s"
            raise _Failure("a connection must stand in time", received) from error
        if isinstance(error, requests.Timeout) or isinstance(
            inner, urllib3.exceptions.ReadTimeoutError
        ):
            raise _Failure("data must keep coming", f"nothing for {limits.stall:g} s") from error
        if isinstance(error, requests.exceptions.SSLError):
            raise _Failure("the connection must be secure", _reason(error)) from error
        if isinstance(inner, urllib3.exceptions.ProtocolError):
            raise _Failure("the file must come whole", _reason(error), passing=True) from error
        raise _Failure("the request must succeed", _reason(error)) from error


def _reason(error: BaseException) -> str:
    """Return the words of the first cause, without the layers around it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]


def _progress(url: str, length: int | None) -> Any:
    from tqdm import tqdm

    # disable=None: no bar where stderr is no terminal.
    options: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": False, "disable": None}
    return tqdm(desc=addresses.file_name(url), total=length, **options)


def _seconds(variable: str, default: float) -> float:
    text = os.environ.get(variable) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MAX_SECONDS:
        raise UsageError(
            f"{variable} must be a number of seconds in (0, {_MAX_SECONDS}]. "
            f"Received: {text!r}. Set it again, or unset it for {default:g}"
        )
    return seconds
