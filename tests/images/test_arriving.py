"""Pictures that come by the standard input or from an address."""

import http.server
import io
import os
import sys
import threading

import pytest
from PIL import Image

from kerasvit.errors import DownloadError, InputError, UsageError
from kerasvit.images import arriving, inputs, read, resolve


def encoded(format="PNG", size=(4, 3)):
    stream = io.BytesIO()
    Image.new("RGB", size, "red").save(stream, format)
    return stream.getvalue()


class Pipe:
    """A standard input that gives these bytes."""

    def __init__(self, content, is_terminal=False):
        self.buffer, self.isatty = io.BytesIO(content), lambda: is_terminal


@pytest.fixture
def server():
    """Serve these files on this machine, under their names."""
    files = {
        "/cat%20one.png": encoded(),
        "/dir/a%3Ab%2A%2F..%2Fc%22.png": encoded(),
        "/dir/picture": encoded(),
        "/clip": b"\x1aE\xdf\xa3" * 9,
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path.partition("?")[0])
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_downloaded_under_its_name(server, monkeypatch):
    monkeypatch.delenv("KERASVIT_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    (picture,) = inputs.find([f"{server}/cat%20one.png?token=secret"]).pictures
    assert picture.path.name == "cat one.png"
    assert picture.name == f"{server}/cat%20one.png"
    assert read(picture.path).shape == (3, 4, 3)
    assert resolve([f"{server}/dir/picture"])[0].name == "picture"
    assert resolve([f"{server}/clip"])[0].name == "clip.mkv"
    # What no file system takes everywhere becomes one letter that all of them take.
    assert resolve([f"{server}/dir/a%3Ab%2A%2F..%2Fc%22.png"])[0].name == "c_.png"


def test_an_address_that_fails_is_one_line(server, monkeypatch):
    monkeypatch.delenv("KERASVIT_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(arriving, "MAX_BYTES", 20)
    for address, kind, match in (
        (f"{server}/missing.png", DownloadError, "404"),
        (f"{server}/cat%20one.png", DownloadError, "up to 20 bytes"),
        ("http://example.com/cat.png", UsageError, "https"),
    ):
        with pytest.raises(kind, match=match) as caught:
            resolve([address])
        assert "\n" not in str(caught.value)
    monkeypatch.setenv("KERASVIT_OFFLINE", "1")
    with pytest.raises(DownloadError, match="KERASVIT_OFFLINE"):
        resolve([f"{server}/cat%20one.png"])


def test_the_standard_input_is_read_once(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Pipe(encoded("JPEG")))
    (picture,) = inputs.find(["-"]).pictures
    assert (picture.path.name, picture.name) == ("stdin", "-")
    assert read(picture.path).shape == (3, 4, 3)
    monkeypatch.setattr(sys, "stdin", Pipe(bytes([0, 0, 0, 24]) + b"ftypisom" + bytes(12)))
    assert resolve(["-"])[0].name == "stdin.mp4"


def test_messages_call_what_arrived_what_the_user_called_it(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Pipe(b"hello"))
    (path,) = resolve(["-"])
    with pytest.raises(InputError, match=r"^'-' is not a picture"):
        read(path)


@pytest.mark.parametrize(
    ("stream", "match"),
    [
        (Pipe(b""), "none"),
        (Pipe(b"x" * 90), "up to 50"),
        (Pipe(b"x", is_terminal=True), "terminal"),
        (None, "nothing"),
    ],
)
def test_a_standard_input_without_a_picture_is_one_line(monkeypatch, stream, match):
    monkeypatch.setattr(sys, "stdin", stream)
    monkeypatch.setattr(arriving, "MAX_BYTES", 50)
    with pytest.raises(InputError, match=match) as caught:
        resolve(["-"])
    assert "\n" not in str(caught.value)


def test_a_file_of_that_name_is_named_by_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_bytes(encoded())
    assert read(resolve([os.path.join(".", "-")])[0]).shape == (3, 4, 3)


def test_the_standard_input_is_named_once():
    """The second `-` was told that nothing came, which is true and helps nobody."""
    from kerasvit.images.inputs import find

    with pytest.raises(UsageError, match="Name it once"):
        find(["-", "a.png", "-"])
