"""The bytes of a file from a server that may be slow, broken or hostile."""

import contextlib
import dataclasses
import email.utils
import pathlib
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import requests
import urllib3.exceptions

from kerasvit.conversion.sources import addresses
from kerasvit.conversion.sources.connections import PrivateAddress, Watch
from kerasvit.conversion.sources.patience import Limits
from kerasvit.digests import file_sha256
from kerasvit.errors import DownloadError
from kerasvit.texts.printable import printable

_CHUNK = 2**14
_MAX_REDIRECTS = 10
_MAX_WAIT = 60.0


class _Failure(Exception):
    """One try failed: what must hold, what was received, and whether another try may help.

    Args:
        rule: what must hold.
        received: what was received.
        passing: whether another try may help.
        wait: seconds that the server asks to wait.
    """

    def __init__(self, rule: str, received: str, passing: bool = False, wait: float = 0):
        super().__init__(f"{rule}. Received: {printable(received)}")
        self.passing, self.wait = passing, wait


@dataclasses.dataclass
class _Part:
    """What is there of a file after a connection broke: so many bytes, of this version of it."""

    count: int = 0
    version: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest, if it is still the same file."""
        if not (self.count and self.version):
            return {}
        return {"Range": f"bytes={self.count}-", "If-Range": self.version}

    def follows(self, response: Any) -> bool:
        """Tell whether an answer is the rest; else it is the whole, and the part is forgotten."""
        if response.status_code != 206:
            self.count = 0
        return self.count > 0

    def check(self, response: Any) -> None:
        """Raise unless a partial answer is the rest of this version of the file."""
        starts = response.headers.get("Content-Range", "").startswith(f"bytes {self.count}-")
        if not self.headers or not starts or response.headers.get("ETag") != self.version:
            raise _Failure("the server must answer 200", "206 with another part than was asked for")


def receive(url: str, path: pathlib.Path, expected: str | None, limits: Limits) -> str:
    """Write what an address gives, in as many tries as there may be, and return its digest.

    Args:
        url: an address that is allowed.
        path: the file to write.
        expected: what its digest starts with; None if nothing is published.
        limits: how patient this is.

    Raises:
        DownloadError: if it can't be had.
    """
    part = _Part()
    for number in range(1, limits.tries + 1):
        try:
            _receive(url, path, expected, limits, part)
            return file_sha256(path)
        except _Failure as failure:
            if not failure.passing or number == limits.tries:
                count = f", {number} times" if number > 1 else ""
                raise DownloadError(
                    f"{addresses.shown(url)!r} could not be downloaded: {failure}{count}. Check "
                    "the address and the connection, or get the file otherwise and pass its path"
                ) from failure.__cause__
            time.sleep(max(limits.backoff * 2 ** (number - 1), failure.wait))
    raise AssertionError("there is at least one try")


def _receive(
    url: str, path: pathlib.Path, expected: str | None, limits: Limits, part: _Part
) -> None:
    """Write the file's bytes, or those that are missing yet."""
    watch = Watch(limits.grace, limits.rate)
    with (
        _failures(limits, watch),
        watch,
        _answer(url, limits, watch, part) as response,
        open(path, "ab") as file,
    ):
        length = _length(response, expected)
        if not part.follows(response):
            file.truncate(0)
            tag = response.headers.get("ETag", "")
            # A weak one, W/"...", may stand for other bytes.
            part.version = tag if tag.startswith('"') else None
        _check_size(length and length + part.count, limits)
        with _progress(url, length) as progress:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                part.count += len(chunk)
                watch.received += len(chunk)
                _check_size(part.count, limits)
                progress.update(len(chunk))


def _check_size(count: int | None, limits: Limits) -> None:
    if limits.max_bytes is not None and (count or 0) > limits.max_bytes:
        raise _Failure(f"the file must have up to {limits.max_bytes} bytes", f"{count} or more")


@contextlib.contextmanager
def _answer(url: str, limits: Limits, watch: Watch, part: _Part) -> Iterator[Any]:
    """Ask for a file, follow redirects as far as they are safe, and lend the answer."""
    # Compressed on the way, a file of weights would be no shorter, and its length unknown.
    headers = {"Accept-Encoding": "identity", "User-Agent": "kerasvit", **part.headers}
    options: dict[str, Any] = {"stream": True, "allow_redirects": False, "headers": headers}
    with watch.session() as session:
        for _ in range(_MAX_REDIRECTS):
            with session.get(url, timeout=(limits.connect, limits.stall), **options) as response:
                target = session.get_redirect_target(response)
                if target is None:
                    _check_status(response, part)
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


def _check_status(response: Any, part: _Part) -> None:
    coding = response.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() not in ("", "identity"):
        raise _Failure("the file must come as it is", f"one in the coding {coding[:40]!r}")
    if response.status_code == 206 and part.headers:
        part.check(response)
    elif response.status_code != 200:
        received = f"{response.status_code} {response.reason or ''}".strip()[:200]
        passing = response.status_code >= 500 or response.status_code == 429
        wait = _asked_to_wait(response.headers.get("Retry-After", ""))
        raise _Failure("the server must answer 200", received, passing, wait)


def _asked_to_wait(text: str) -> float:
    """Return the seconds of a `Retry-After`, a number or a date; never more than a minute."""
    if text.isdecimal() and len(text) < 10:
        return min(float(text), _MAX_WAIT)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _MAX_WAIT)


def _length(response: Any, expected: str | None) -> int | None:
    """Return the number of bytes to come; None where their end is known by other means."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        return int(length)
    if expected is None and not response.raw.chunked:
        raise _Failure("its length or its sha256 must be known", "neither; pass sha256=")
    return None


@contextlib.contextmanager
def _failures(limits: Limits, watch: Watch) -> Iterator[None]:
    """Turn what goes wrong on the network into `_Failure`; the disk's errors pass."""
    try:
        try:
            yield
        finally:
            # First: what is cut off may look like an answer, or like any failure.
            if watch.is_over:
                received = f"{watch.received} bytes, at less than {limits.rate:g} a second"
                raise _Failure("a file must come in time", received)
    except PrivateAddress as error:
        rule = "a server on the internet must not lead inside a network"
        raise _Failure(rule, f"a redirect to {error}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
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
    return tqdm(desc=printable(addresses.file_name(url)), total=length, **options)
