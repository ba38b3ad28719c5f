"""Downloads from a server on this machine that misbehaves in every way we know of."""

import contextlib
import dataclasses
import gc
import gzip
import hashlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from kerasvit.conversion.sources import addresses
from kerasvit.conversion.sources.fetch import Limits, fetch
from kerasvit.errors import DownloadError, OutputError, UsageError

BODY = bytes(range(256)) * 400
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Limits(connect=2.0, stall=0.4, tries=3, backoff=0.01)


class Server(http.server.ThreadingHTTPServer):
    """Answers each path by the function that `routes` has for it, and counts the requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes = {}
        self.asked = []
        self.released = threading.Event()

    def add(self, path, route):
        self.routes[path] = route
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.close_connection = True
        self.server.routes[self.path](self)

    def log_message(self, *arguments):
        pass

    def start(self, code=200, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


def send(body=BODY, length=None, code=200, **headers):
    def route(handler):
        handler.start(code, Content_Length=len(body) if length is None else length, **headers)
        handler.wfile.write(body)

    return route


def send_without_length(body):
    def route(handler):
        handler.start()
        handler.wfile.write(body)

    return route


def send_chunked(body, end=b"0\r\n\r\n"):
    def route(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.start(Transfer_Encoding="chunked")
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) + end)

    return route


def stall(after):
    def route(handler):
        if after is not None:
            handler.start(Content_Length=len(BODY))
            handler.wfile.write(BODY[:after])
            handler.wfile.flush()
        handler.server.released.wait(60)

    return route


def in_turn(*routes):
    remaining = list(routes)
    return lambda handler: remaining.pop(0)(handler)


def drop_connection(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def refused(url, path, **arguments):
    """Fetch what must fail over a good old file, and return the one line that says why."""
    path.write_bytes(b"old")
    with pytest.raises(DownloadError) as caught:
        fetch(url, path, limits=QUICK, **arguments)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]
    assert caught.value.exit_code == 4
    message = str(caught.value)
    assert "\n" not in message
    assert repr(url) in message
    return message


@pytest.mark.parametrize("sha256", [None, SHA256, SHA256.upper(), SHA256[:8]])
def test_a_file_arrives_whole_and_alone(server, tmp_path, sha256):
    fetch(server.add("/a.pth", send()), tmp_path / "a.pth", sha256=sha256)
    assert (tmp_path / "a.pth").read_bytes() == BODY
    assert os.listdir(tmp_path) == ["a.pth"]


def test_a_chunked_answer_needs_no_length(server, tmp_path):
    fetch(server.add("/a", send_chunked(BODY)), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY


def test_the_file_is_asked_for_uncompressed(server, tmp_path):
    seen = []

    def route(handler):
        seen.append(handler.headers["Accept-Encoding"])
        send()(handler)

    fetch(server.add("/a", route), tmp_path / "a")
    assert seen == ["identity"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x-made-up"])
def test_a_server_that_compresses_all_the_same_is_refused(server, tmp_path, coding):
    """A few bytes may unpack to any number of them."""
    url = server.add("/a", send(gzip.compress(bytes(10**6)), Content_Encoding=coding))
    assert f"coding {coding!r}" in refused(url, tmp_path / "a")


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_the_callers_fault_is_told_at_once(server, tmp_path, code):
    url = server.add("/a", send(b"no", code=code))
    assert f"Received: {code} " in refused(url, tmp_path / "a")
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_the_servers_fault_is_told_after_three_tries(server, tmp_path, code):
    url = server.add("/a", send(b"no", code=code))
    message = refused(url, tmp_path / "a")
    assert f"Received: {code} " in message
    assert "3 times" in message
    assert len(server.asked) == 3


def test_each_wait_between_tries_is_twice_as_long(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    url = server.add("/a", send(b"no", code=503))
    with pytest.raises(DownloadError):
        fetch(url, tmp_path / "a", limits=dataclasses.replace(QUICK, tries=4, backoff=3.0))
    assert waits == [3.0, 6.0, 12.0]


def test_a_server_that_recovers_is_forgiven(server, tmp_path):
    url = server.add("/a", in_turn(send(b"no", code=503), drop_connection, send()))
    fetch(url, tmp_path / "a", sha256=SHA256, limits=QUICK)
    assert (tmp_path / "a").read_bytes() == BODY


@pytest.mark.parametrize("code", [204, 206])
def test_success_of_another_kind_is_no_file(server, tmp_path, code):
    url = server.add("/a", send(BODY if code == 206 else b"", code=code))
    assert f"Received: {code} " in refused(url, tmp_path / "a")


def test_a_dropped_connection_is_tried_three_times(server, tmp_path):
    url = server.add("/a", drop_connection)
    assert "3 times" in refused(url, tmp_path / "a")
    assert len(server.asked) == 3


@pytest.mark.parametrize("part", [0, 1, 1000, len(BODY) - 1])
def test_a_body_that_ends_early_is_refused_with_or_without_hash(server, tmp_path, part):
    url = server.add("/a", send(BODY[:part], length=len(BODY)))
    for sha256 in (None, SHA256):
        assert "must come whole" in refused(url, tmp_path / "a", sha256=sha256)
    assert len(server.asked) == 6


def test_a_body_that_ends_early_once_is_asked_for_again(server, tmp_path):
    fetch(
        server.add("/a", in_turn(send(BODY[:1000], length=len(BODY)), send())),
        tmp_path / "a",
        limits=QUICK,
    )
    assert (tmp_path / "a").read_bytes() == BODY


def test_chunks_that_end_early_are_refused(server, tmp_path):
    url = server.add("/a", send_chunked(BODY, end=b""))
    assert "must come whole" in refused(url, tmp_path / "a")


def test_a_length_that_is_too_short_is_found_by_the_hash(server, tmp_path):
    url = server.add("/a", send(length=len(BODY) - 1))
    assert SHA256 in refused(url, tmp_path / "a", sha256=SHA256)


# Of two lengths urllib3 makes no answer at all, and leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("length", ["many", "-1", "1, 2"])
def test_a_length_that_is_no_number_is_no_length(server, tmp_path, length):
    url = server.add("/a", send(length=length))
    refused(url, tmp_path / "a")
    gc.collect()


@pytest.mark.parametrize("body", [BODY, BODY[:1000]])
def test_without_length_and_hash_nobody_knows_whether_it_is_whole(server, tmp_path, body):
    url = server.add("/a", send_without_length(body))
    assert "sha256=" in refused(url, tmp_path / "a")


def test_without_length_the_hash_tells(server, tmp_path):
    whole = server.add("/whole", send_without_length(BODY))
    fetch(whole, tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == BODY
    refused(server.add("/cut", send_without_length(BODY[:1000])), tmp_path / "a", sha256=SHA256)


@pytest.mark.parametrize("expected", ["0" * 64, "0" * 8])
def test_another_file_shows_both_hashes(server, tmp_path, expected):
    message = refused(server.add("/a", send()), tmp_path / "a", sha256=expected)
    assert expected in message
    assert SHA256 in message
    assert len(server.asked) == 1


@pytest.mark.parametrize("sha256", ["", "abc", "0" * 65, "x" * 64])
def test_a_malformed_hash_is_the_callers_error(server, tmp_path, sha256):
    with pytest.raises(UsageError, match="hexadecimal"):
        fetch(server.add("/a", send()), tmp_path / "a", sha256=sha256)
    assert server.asked == []


@pytest.mark.parametrize("after", [None, 0, 1000])
def test_silence_ends_within_twice_the_timeout(server, tmp_path, after):
    url = server.add("/a", stall(after))
    start = time.monotonic()
    assert "nothing for 0.4 s" in refused(url, tmp_path / "a")
    assert time.monotonic() - start < 10  # and not the 60 s that the server would wait
    assert len(server.asked) == 1


def test_a_refused_connection_is_told_by_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
        assert "refused" in refused(url, tmp_path / "a").lower()


def test_an_unknown_host_is_told_by_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")

    def fail(*arguments, **keywords):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    message = refused("https://weights.invalid/a", tmp_path / "a")
    assert "Name or service not known" in message


def test_a_server_without_tls_is_told_as_such(server, tmp_path):
    url = server.add("/a", send()).replace("http:", "https:")
    assert "must be secure" in refused(url, tmp_path / "a")


def test_a_connection_that_does_not_stand_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as busy, contextlib.ExitStack() as stack:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        # A full backlog: Linux drops further requests for a connection without an answer.
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(busy.getsockname())
        url = f"http://127.0.0.1:{busy.getsockname()[1]}/a"
        limits = Limits(connect=0.4, stall=0.4)
        start = time.monotonic()
        with pytest.raises(DownloadError, match=r"in time|nothing for"):
            fetch(url, tmp_path / "a", limits=limits)
        assert time.monotonic() - start < 10


def test_redirects_on_the_same_machine_are_followed(server, tmp_path):
    server.add("/b", send())
    fetch(server.add("/a", send(b"", code=302, Location="/b")), tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == BODY


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["http://93.184.216.34/secret?key=1", "ftp://a.b/c", "file:///x"]
)
def test_a_redirect_to_an_open_connection_is_refused(server, tmp_path, code, target):
    url = server.add("/a", send(b"", code=code, Location=target))
    message = refused(url, tmp_path / "a")
    assert "https" in message
    assert "secret" not in message
    assert server.asked == ["/a"]


def test_redirects_without_end_are_refused(server, tmp_path):
    url = server.add("/a", send(b"", code=302, Location="/a"))
    assert "redirect" in refused(url, tmp_path / "a")


@pytest.mark.parametrize(
    ("url", "target", "allowed"),
    [
        ("https://a.b/c", "https://d.e/f", True),
        ("https://a.b/c", "http://a.b/c", False),
        ("https://a.b/c", "http://127.0.0.1/c", False),
        ("http://127.0.0.1/c", "http://localhost/c", True),
        ("http://[::1]/c", "https://a.b/c", True),
        ("http://localhost/c", "http://localhost.a.b/c", False),
        ("http://localhost/c", "http://127.0.0.1@a.b/c", False),
    ],
)
def test_which_redirects_are_safe(url, target, allowed):
    assert addresses.may_redirect(url, target) is allowed


@pytest.mark.parametrize("url", ["http://a.b/c", "ftp://a.b/c", "file:///etc/hosts", "a", "https:"])
def test_only_https_is_downloaded(tmp_path, url):
    with pytest.raises(UsageError, match="https"):
        fetch(url, tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_secrets_of_an_address_stay_out_of_messages(server, tmp_path):
    path = "/a?token=geheim"
    url = server.add(path, send(b"", code=404)).replace("//", "//me:secret@")
    with pytest.raises(DownloadError) as caught:
        fetch(url, tmp_path / "a", limits=QUICK)
    assert "geheim" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_the_check_refuses_is_not_kept(server, tmp_path):
    def check(path):
        assert path.read_bytes() == BODY
        raise DownloadError(f"{url!r} is not it")

    url = server.add("/a", send())
    assert "is not it" in refused(url, tmp_path / "a", check=check)


def test_a_full_disk_is_an_output_error_and_keeps_the_old_file(server, tmp_path):
    resource = pytest.importorskip("resource")
    (tmp_path / "a").write_bytes(b"old")
    url = server.add("/a", send())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OutputError):
            fetch(url, tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_timeouts_come_from_the_environment(monkeypatch):
    assert Limits.from_environment() == Limits(connect=10.0, stall=30.0)
    monkeypatch.setenv("KERASVIT_CONNECT_TIMEOUT", "3")
    monkeypatch.setenv("KERASVIT_STALL_TIMEOUT", "0.5")
    assert Limits.from_environment() == Limits(connect=3.0, stall=0.5)


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_timeout_that_is_no_number_of_seconds_is_the_users_error(monkeypatch, text):
    monkeypatch.setenv("KERASVIT_STALL_TIMEOUT", text)
    with pytest.raises(UsageError, match="KERASVIT_STALL_TIMEOUT"):
        Limits.from_environment()


WORKER = """
import sys
url, path, sha256 = sys.argv[1:]
sys.argv = ["kerasvit"]  # the command line imports no Keras before it must
from kerasvit.conversion.sources.fetch import fetch
assert not {"keras", "torch"} & set(sys.modules)
sys.stdin.readline()
fetch(url, path, sha256=sha256)
"""


def start_fetching(url, path, sha256=SHA256):
    """Return a process that fetches once it is written a line."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url, path, sha256], stdin=subprocess.PIPE, text=True
    )


def test_eight_processes_at_once_leave_one_whole_file(server, tmp_path):
    def slowly(handler):
        handler.start(Content_Length=len(BODY))
        for start in range(0, len(BODY), 20_000):
            handler.wfile.write(BODY[start : start + 20_000])
            handler.wfile.flush()
            time.sleep(0.02)

    url = server.add("/a", slowly)
    processes = [start_fetching(url, tmp_path / "a") for _ in range(8)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait(120) for process in processes] == [0] * 8
    assert len(server.asked) == 8
    assert (tmp_path / "a").read_bytes() == BODY
    assert os.listdir(tmp_path) == ["a"]


def test_a_killed_download_leaves_no_file_of_that_name(server, tmp_path):
    def half(handler):
        handler.start(Content_Length=2 * 2**20)
        handler.wfile.write(bytes(2**20))
        handler.server.released.wait(60)

    process = start_fetching(server.add("/a", half), tmp_path / "a")
    process.stdin.write("go\n")
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not any(name.stat().st_size for name in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait(60)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".kerasvit-")
