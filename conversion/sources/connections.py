"""Connections that say where they lead, and end in time however slowly their bytes come."""

import contextlib
import functools
import ipaddress
import socket
import threading
import time
from typing import Any, Self

import requests
import urllib3.connection
import urllib3.connectionpool
from requests.adapters import HTTPAdapter

_PAUSE = 0.1
# RFC 6052: the prefix below which IPv6 names addresses of IPv4.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddress(Exception):
    """A server on the internet sent its caller to an address that only insiders reach."""


def is_private(host: str) -> bool:
    """Tell an address that the internet does not lead to: private, loopback, link-local, ...

    Args:
        host: an address in numbers; one of IPv6 may stand for one of IPv4.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None:
            inner = address.teredo[1]
        if inner is not None:
            return is_private(str(inner))
    return not address.is_global or address.is_multicast


class Watch:
    """Watches the connections of one try to download a file.

    The address looked at is the one that is connected to, so a name that means another address the
    second time does not help. The bytes must come at a least rate over the whole, the answer's
    header included; else all connections are shut down.

    Args:
        grace: seconds that may pass before the rate counts.
        rate: the least bytes a second.

    Attributes:
        received: bytes of the file so far, kept up to date by who reads them.
        is_over: whether time ran out.
    """

    def __init__(self, grace: float, rate: float):
        self.received, self.is_over = 0, False
        self._grace, self._rate = grace, rate
        self._began = time.monotonic()
        self._sockets: list[socket.socket] = []
        self._starts_inside: bool | None = None
        self._done = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        with self._lock:
            for copy in self._sockets:
                copy.close()
            self._sockets.clear()

    def session(self) -> requests.Session:
        """Return a session whose connections are watched."""
        session = requests.Session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter(self))
        return session

    def connected(self, connection: socket.socket, is_direct: bool = True) -> None:
        """Note a new connection.

        Args:
            connection: the socket.
            is_direct: whether it leads to the server, and not to a proxy of the user's.

        Raises:
            PrivateAddress: if it leads inside, and the first one did not.
        """
        if is_direct:
            host = str(connection.getpeername()[0])
            is_inside = is_private(host)
            if self._starts_inside is None:
                self._starts_inside = is_inside
            if is_inside and not self._starts_inside:
                connection.close()
                raise PrivateAddress(host)
        with self._lock:
            # A copy: TLS takes the socket itself away.
            self._sockets.append(connection.dup())

    def _look(self) -> None:
        while not self._done.wait(_PAUSE):
            elapsed = time.monotonic() - self._began
            if elapsed > self._grace + self.received / self._rate:
                self.is_over = True
                with self._lock:
                    for copy in self._sockets:
                        with contextlib.suppress(OSError):
                            copy.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    def __init__(self, watch: Watch):
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._watch, True)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = _pools(self._watch, False)
        return manager


def _pools(watch: Watch, is_direct: bool) -> dict[str, Any]:
    """Return the pools of connections that a watch looks at, by scheme."""
    note = functools.partial(watch.connected, is_direct=is_direct)

    class Plain(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> socket.socket:
            # Before the first word: even the greeting of TLS is a request.
            new = super()._new_conn()
            note(new)
            return new

        def connect(self) -> None:
            super().connect()
            # Again, should a later urllib3 make its sockets elsewhere.
            if self.sock is not None:
                note(self.sock)

    class Secure(Plain, urllib3.connection.HTTPSConnection):
        pass

    plain = type("Pool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": Plain})
    secure = type("Pool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": Secure})
    return {"http": plain, "https": secure}
