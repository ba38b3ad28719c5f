"""A model goes to a hub on this machine, through the Hub's own client, and comes back."""

import base64
import hashlib
import http.server
import importlib
import json
import os
import threading

import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit.errors import OutputError, UsageError
from kerasvit.publishing import model_card, push, write_folder

hub = pytest.importorskip("huggingface_hub")

COMMIT = "b" * 40


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes commits of small files, and serves them again."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.server.refusal:
            self.send(self.server.refusal, {"error": "Invalid token\x1b[2J"})
        elif self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self.send(200, {"url": f"{self.server.address}/me/cait"})
        elif self.path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]
            self.send(200, {"files": modes})
        elif self.path.endswith("/commit/main"):
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            url = f"{self.server.address}/me/cait/commit/{COMMIT}"
            self.send(200, {"commitUrl": url, "commitOid": COMMIT, "success": True})
        else:  # the check of the card's table
            self.send(200, {"errors": [], "warnings": []})

    def do_HEAD(self):
        self.serve(with_body=False)

    def do_GET(self):
        self.serve(with_body=True)

    def serve(self, with_body):
        name = self.path.rpartition("/resolve/main/")[2]
        content = self.server.files.get(name)
        if content is None:
            self.send(404, {}, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def send(self, code, value, **headers):
        body = json.dumps(value).encode()
        self.send_response(code)
        headers = {"Content-Type": "application/json", "Content-Length": len(body), **headers}
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), str(text))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A hub, and its client with a cache of its own."""
    for name in ("KERASVIT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.address = f"http://127.0.0.1:{server.server_port}"
        server.files, server.created, server.tokens, server.refusal = {}, [], set(), None
        constants = importlib.import_module("huggingface_hub.constants")
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        )
        for module in ("hf_api", "file_download"):
            loaded = importlib.import_module(f"huggingface_hub.{module}")
            for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
                if hasattr(loaded, name):
                    monkeypatch.setattr(loaded, name, getattr(constants, name))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def picture(tmp_path):
    """A photograph of noise."""
    path = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype="uint8")
    Image.fromarray(pixels).save(path)
    return path


def test_what_is_pushed_comes_back(server, picture):
    model = kerasvit.from_pretrained()
    address = push(model, "me/cait", picture=picture, credit="noise, CC0", private=True)
    assert address.endswith(COMMIT)
    # Older clients say {"private": true}, newer ones {"visibility": "private"}.
    assert "private" in json.dumps(server.created[0])
    assert server.tokens == {"Bearer hf_test"}
    assert set(server.files) == {"README.md", "attention.png", "model.keras"}
    assert server.files["attention.png"].startswith(b"\x89PNG")

    for source in ("hf://me/cait", "hf://me/cait@main/model.keras"):
        back = kerasvit.from_pretrained(source, attention="cls")
        assert back.attention == "cls"
        assert back.record == model.record
        for weight, other in zip(model.get_weights(), back.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, other)


def test_what_the_hub_refuses_is_one_line(server, picture):
    server.refusal = 401
    with pytest.raises(OutputError, match="could not be published at 'me/cait'") as caught:
        push(None, "me/cait", picture=picture)
    assert "hf auth login" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["cait", "me/cait/x", "../x", "me/ca it", ""])
def test_a_name_that_is_none_is_refused_before_any_work(name, tmp_path):
    with pytest.raises(UsageError, match="user/name"):
        write_folder("no such file.keras", tmp_path / "out", name)
    assert not (tmp_path / "out").exists()


def test_what_lies_in_the_folder_stays(tmp_path, picture):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputError, match=r"README.md' exists"):
        write_folder(None, tmp_path, "me/cait", picture=picture)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not {"model.keras", "attention.png"} & set(os.listdir(tmp_path))
    write_folder(None, tmp_path, "me/cait", picture=picture, overwrite=True)
    assert (tmp_path / "README.md").read_text() != "mine"


def test_texts_of_a_record_stay_in_their_place():
    model = kerasvit.create_model("vit_nano_patch4_32", num_classes=3)
    evil = "x\n---\n# Title\n![](http://a/b)<script>"
    model.record = {"licence": evil, "source": {"file": evil}, "preprocessing": {evil: evil}}
    card = model_card(model, "me/vit")
    assert card.count("\n---\n") == 1
    assert "\n# Title" not in card
    assert "<script>" not in card.split("\n---\n")[1].replace("\\<", "")
    assert "](http" not in card.split("\n---\n")[1].replace("\\]", "")
