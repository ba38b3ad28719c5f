"""Downloads from servers that mean harm: slow, luring inside, changing what they send."""

import dataclasses
import email.utils
import hashlib
import http.server
import socket
import threading
import time

import pytest

from kerasvit.conversion.sources import receiving
from kerasvit.conversion.sources.connections import PrivateAddress, Watch, is_private
from kerasvit.conversion.sources.fetch import fetch
from kerasvit.conversion.sources.patience import Limits
from kerasvit.errors import DownloadError

BODY = bytes(range(256)) * 400
SHA256 = hashlib.sha256(BODY).hexdigest()
# A whole number of the pieces that are read at a time.
PART = 49_152
QUICK = Limits(connect=0.3, stall=0.4, tries=3, backoff=0.01)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(dict(self.headers))
        self.server.routes.pop(0)(self)

    def log_message(self, *arguments):
        pass

    def send(self, body=BODY, code=200, **headers):
        self.send_response(code)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.asked, server.routes = True, [], []
        server.handle_error = lambda *error: None
        server.url = f"http://127.0.0.1:{server.server_port}/a"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def refused(url, path, **arguments):
    with pytest.raises(DownloadError) as caught:
        fetch(url, path, **{"limits": QUICK, **arguments})
    assert "\n" not in str(caught.value)
    assert not list(path.parent.iterdir())
    return str(caught.value)


def drip(handler, data):
    """Send one byte after the other, each before anyone calls it a stall."""
    for number in range(10_000):
        handler.wfile.write(data[number % len(data)].to_bytes())
        handler.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("start", ["", "HTTP/1.0 200 OK\r\nX: ", "HTTP/1.0 200 OK\r\n"])
def test_a_byte_now_and_then_is_not_waited_for(server, tmp_path, start):
    """A header that never ends, or a body: no silence is long, but the whole is too slow."""

    def route(handler):
        handler.wfile.write(start.encode())
        if start.endswith("\n"):
            handler.wfile.write(b"Content-Length: 100000\r\n\r\n")
        drip(handler, b"HTTP/1.0 200 OK\r\n" if not start else b"x")

    server.routes.append(route)
    assert "in time" in refused(server.url, tmp_path / "a", sha256=SHA256)


def test_a_slow_connection_that_keeps_the_rate_is_waited_for(server, tmp_path):
    def route(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        for start in range(0, len(BODY), 2048):
            handler.wfile.write(BODY[start : start + 2048])
            handler.wfile.flush()
            time.sleep(0.01)

    server.routes.append(route)
    fetch(server.url, tmp_path / "a", limits=dataclasses.replace(QUICK, connect=0.1, stall=0.1))
    assert (tmp_path / "a").read_bytes() == BODY


@pytest.mark.parametrize(
    ("address", "private"),
    [
        *[(address, False) for address in ("8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808")],
        *[(address, True) for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1")],
        *[(address, True) for address in ("169.254.169.254", "0.0.0.0", "224.0.0.1", "100.64.0.1")],
        *[(address, True) for address in ("::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::")],
        *[(address, True) for address in ("::ffff:127.0.0.1", "::ffff:10.0.0.1")],
        *[(address, True) for address in ("64:ff9b::7f00:1", "2002:7f00:1::", "255.255.255.255")],
    ],
)
def test_which_addresses_are_inside(address, private):
    assert is_private(address) is private


def test_nobody_on_the_internet_leads_inside(server, tmp_path, monkeypatch):
    """The address that is connected to counts: not the name, which may mean another one later."""
    server.routes += [lambda handler: handler.send(code=302, Location="/b"), Handler.send]
    seen = []
    monkeypatch.setattr(
        "kerasvit.conversion.sources.connections.is_private",
        lambda host: seen.append(host) or len(seen) > 2,
    )
    message = refused(server.url, tmp_path / "a")
    assert "must not lead inside" in message
    assert "127.0.0.1" in message
    assert seen[0] == "127.0.0.1"
    # Not one word was said to the address inside.
    assert len(server.asked) == 1


def test_who_starts_inside_may_stay_there(server, tmp_path):
    server.routes += [lambda handler: handler.send(code=302, Location="/b"), Handler.send]
    fetch(server.url, tmp_path / "a", limits=QUICK)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_connection_inside_is_closed_before_its_first_word():
    with socket.create_server(("127.0.0.1", 0)) as listener, Watch(10, 1) as watch:
        watch._starts_inside = False
        connection = socket.create_connection(listener.getsockname())
        with pytest.raises(PrivateAddress):
            watch.connected(connection)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(10) == b""


def test_a_password_goes_to_its_own_host_alone(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NETRC", "/dev/null")
    there = f"http://localhost:{server.server_port}/b"
    server.routes += [lambda handler: handler.send(code=302, Location=there), Handler.send]
    fetch(server.url.replace("//", "//user:secret@"), tmp_path / "a", limits=QUICK)
    first, second = server.asked
    assert "Authorization" in first
    assert "Authorization" not in second
    assert "secret" not in str(second)


def broken(part, **headers):
    """Send so many bytes of the file and close."""

    def route(handler):
        handler.send_response(200)
        for name, value in {"Content-Length": len(BODY), **headers}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(BODY[:part])

    return route


def rest(handler):
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    place = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
    handler.send(BODY[start:], 206, ETag='"one"', Content_Range=place)


def test_the_rest_is_asked_for_where_the_file_is_the_same(server, tmp_path):
    server.routes += [broken(PART, ETag='"one"'), rest]
    fetch(server.url, tmp_path / "a", sha256=SHA256, limits=QUICK)
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.asked[1]["Range"] == f"bytes={PART}-"
    assert server.asked[1]["If-Range"] == '"one"'


@pytest.mark.parametrize("tag", [None, 'W/"one"'])
def test_without_a_strong_tag_all_is_asked_for(server, tmp_path, tag):
    server.routes += [broken(PART, **({"ETag": tag} if tag else {})), Handler.send]
    fetch(server.url, tmp_path / "a", sha256=SHA256, limits=QUICK)
    assert (tmp_path / "a").read_bytes() == BODY
    assert "Range" not in server.asked[1]


def test_another_file_meanwhile_is_taken_whole(server, tmp_path):
    other = BODY[::-1]
    server.routes += [
        broken(PART, ETag='"one"'),
        lambda handler: handler.send(other, ETag='"two"'),
    ]
    fetch(server.url, tmp_path / "a", limits=QUICK)
    assert (tmp_path / "a").read_bytes() == other


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"two"', "Content_Range": "bytes 49152-102399/102400"},
        {"ETag": '"one"', "Content_Range": "bytes 0-102399/102400"},
        {"ETag": '"one"'},
        {"Content_Range": "bytes 49152-102399/102400"},
    ],
)
def test_another_part_than_was_asked_for_is_refused(server, tmp_path, headers):
    server.routes += [
        broken(PART, ETag='"one"'),
        lambda handler: handler.send(BODY[PART:], 206, **headers),
    ]
    assert "another part" in refused(server.url, tmp_path / "a")


def test_a_rest_of_other_bytes_is_found_by_the_hash(server, tmp_path):
    place = "bytes 49152-102399/102400"
    server.routes += [
        broken(PART, ETag='"one"'),
        lambda handler: handler.send(
            bytes(len(BODY) - PART), 206, ETag='"one"', Content_Range=place
        ),
    ]
    assert "sha256" in refused(server.url, tmp_path / "a", sha256=SHA256)


@pytest.mark.parametrize(
    ("text", "lowest", "highest"),
    [
        *[("7", 7, 7), ("0", 0, 0), ("99999", 60, 60), ("9" * 5000, 0, 0)],
        *[("soon", 0, 0), ("-5", 0, 0), ("", 0, 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0)],
    ],
)
def test_retry_after(text, lowest, highest):
    assert lowest <= receiving._asked_to_wait(text) <= highest


def test_retry_after_a_date():
    in_half_a_minute = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 1 <= receiving._asked_to_wait(in_half_a_minute) <= 31


def test_a_busy_server_is_asked_again_when_it_says(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("kerasvit.conversion.sources.receiving.time.sleep", waits.append)
    server.routes += [lambda handler: handler.send(b"", 429, Retry_After="7"), Handler.send]
    fetch(server.url, tmp_path / "a", limits=QUICK)
    assert waits == [7.0]


def test_words_of_a_server_are_shown_and_not_sent(server, tmp_path):
    def route(handler):
        handler.wfile.write(b"HTTP/1.0 404 \x1b[2Jgone\x07\r\nContent-Length: 0\r\n\r\n")

    server.routes.append(route)
    message = refused(server.url, tmp_path / "a")
    assert r"\x1b[2Jgone" in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 300}.org/x",
        f"https://{'a.' * 200}org/x",
        "https://a..b/x",
        "https://\u2100.org/x",
        "https://a:99999/x",
    ],
    ids=range(5),
)
def test_a_name_that_no_host_can_have(tmp_path, url):
    with pytest.raises((DownloadError, ValueError)) as caught:
        fetch(url, tmp_path / "a", limits=QUICK)
    assert type(caught.value).__module__ == "kerasvit.errors"
