"""Where the Hub's own client may be sent: from the internet into no network of insiders."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from kerasvit.conversion.sources.connections import PrivateAddress, is_private

_LOCK = threading.Lock()


@contextlib.contextmanager
def guarded_session() -> Iterator[None]:
    """Have the requests of `huggingface_hub` in this thread looked at while the block runs.

    Its client follows redirects wherever they lead; it keeps the token from other hosts by itself.
    A name is looked up before it is asked for. What the name means a moment later, when the client
    looks it up again, is not seen, nor what `hf_xet` does, which has a client of its own.

    Raises:
        PrivateAddress: if a request leads inside, and the first one did not.
    """
    from huggingface_hub import get_session

    guard, session = _Guard(), get_session()
    with _LOCK:
        hooks = session.event_hooks
        session.event_hooks = {**hooks, "request": [*hooks["request"], guard.look]}
    try:
        yield
    finally:
        with _LOCK:
            hooks = session.event_hooks
            others = [hook for hook in hooks["request"] if hook != guard.look]
            session.event_hooks = {**hooks, "request": others}


class _Guard:
    """Looks at the requests of one thread; the client, and its hooks, are all threads'."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._starts_inside: bool | None = None

    def look(self, request: Any) -> None:
        """Look at a request that is about to be sent; each of a chain of redirects is one."""
        if threading.get_ident() != self._thread:
            return
        addresses = _addresses(request.url.host, request.url.port)
        inside = [address for address in addresses if is_private(address)]
        if self._starts_inside is None and addresses:
            self._starts_inside = bool(inside)
        elif inside and not self._starts_inside:
            raise PrivateAddress(inside[0])


def _addresses(host: str, port: int | None) -> list[str]:
    """Return the addresses of a host; none where only a proxy knows it."""
    with contextlib.suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
        return [str(address[4][0]) for address in found]
    return []
