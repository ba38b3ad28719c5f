"""The server's parts that need no browser, and no Gradio."""

import asyncio
import os
import sys
import tempfile

import pytest

from kerasvit.app import server
from kerasvit.cli import main
from kerasvit.temporary import temporary_name


def test_uploads_lie_in_a_folder_of_this_user_alone_and_go_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    with server._private_folder() as folder:
        (folder / "upload.png").write_bytes(b"picture")
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
    assert os.environ["GRADIO_TEMP_DIR"] == "before"
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_page_that_was_killed_goes_at_the_next_start(tmp_path, monkeypatch):
    *owner, start, tail = temporary_name().split("-")
    # Another process once had this one's number.
    (tmp_path / "-".join([*owner, str(int(start) + 1), tail])).mkdir()
    (tmp_path / temporary_name()).mkdir()  # Of a process that lives: this one.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with server._private_folder():
        assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:7860", True),
        ("localhost:9", True),
        ("LOCALHOST", True),
        ("[::1]:7860", True),
        ("elsewhere.example", False),
        ("127.0.0.1.elsewhere.example:7860", False),
        ("127.0.0.1:7860@elsewhere.example", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_the_names_of_this_computer_alone_are_answered(host, answered, kind):
    pytest.importorskip("starlette")
    from kerasvit.app.guard import Guard

    reached, sent = [], []

    async def app(scope, receive, send):
        reached.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "headers": [(b"host", host.encode())], "extensions": {}}
    asyncio.run(Guard(app, "127.0.0.1")(scope, None, send))
    assert bool(reached) == answered
    if answered:
        assert b"default-src 'self'" in dict(sent[0]["headers"])[b"content-security-policy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "nothing.keras"], "nothing.keras"),
        (["-m", "dino_vits9"], "Did you mean"),
        (["--port", "0"], "from 1 to 65535"),
        (["--port", "x"], "from 1 to 65535"),
        (["--share"], "unrecognized"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_served(capsys, arguments, message):
    try:
        code = main(["app", "--no-browser", *arguments])
    except SystemExit as error:
        code = error.code
    assert code in (2, 3)
    assert message in capsys.readouterr().err


def test_a_page_without_gradio_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", *server._PROXIES):
        monkeypatch.setenv(name, "")  # Put back at the end.
    assert main(["app", "--no-browser"]) == 2
    assert 'pip install "kerasvit[app]"' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
