"""The Hugging Face Hub's own client against a hub on this machine."""

import hashlib
import http.server
import importlib
import json
import os
import pathlib
import socket
import sys
import threading

import numpy as np
import pytest
import torch

from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.files.sharded import USUAL_FILES
from kerasvit.conversion.sources import hub_session
from kerasvit.conversion.sources.hub import HubFile, published_sha256
from kerasvit.errors import DownloadError, InputError, OutputError, UsageError

hub = pytest.importorskip("huggingface_hub")

COMMIT = "a" * 40
CLIENTS_OWN = hub.get_session().event_hooks["request"]
WEIGHTS = bytes(range(256)) * 8
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`: large ones with the sha256 for a tag, small ones with another."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.tokens.append(self.headers.get("Authorization"))
        self.answer(with_body=True)

    def answer(self, with_body):
        target = self.server.targets.get(self.command)
        if target:
            digest = hashlib.sha256(WEIGHTS).hexdigest()
            facts = {"X_Linked_Etag": f'"{digest}"', "X_Linked_Size": len(WEIGHTS)}
            return self.send(302, b"", Location=target + self.path, **facts)
        repository, _, rest = self.path.lstrip("/").partition("/resolve/main/")
        refusal = self.server.refusals.get(repository)
        content = self.server.files.get(f"{repository}/{rest}")
        if refusal:
            self.send(refusal[0], b"", X_Error_Code=refusal[1], X_Error_Message="no")
        elif content is None:
            self.send(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
        else:
            is_large = not rest.endswith(".json")
            digest = hashlib.sha256(content) if is_large else hashlib.sha1(content)
            tag = f'"{self.server.tags.get(rest, digest.hexdigest())}"'
            self.send(200, content if with_body else None, len(content), ETag=tag)

    def send(self, code, body, length=0, **headers):
        self.send_response(code)
        headers = {"X_Repo_Commit": COMMIT, "Content_Length": length, **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A hub, and its client with a cache of its own."""
    for name in ("KERASVIT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    cache = tmp_path / "cache"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files = {"org/name/model.safetensors": WEIGHTS}
        server.refusals, server.tags, server.asked, server.cache = {}, {}, [], cache
        server.tokens, server.targets = [], {}
        constants = importlib.import_module("huggingface_hub.constants")
        endpoint = f"http://127.0.0.1:{server.server_port}"
        template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def downloads(server):
    return [path for path in server.asked if "/resolve/" in path]


def blob(path):
    return pathlib.Path(os.path.realpath(path))


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("hf://org/name", HubFile("org/name")),
        ("hf://org/a-b_c.d/x/y.bin", HubFile("org/a-b_c.d", "x/y.bin")),
        ("hf://org/name@v1.0", HubFile("org/name", None, "v1.0")),
        ("hf://org/name@main/x.bin", HubFile("org/name", "x.bin", "main")),
    ],
)
def test_an_address_and_a_file_are_the_same(address, file):
    assert HubFile.from_address(address) == file
    assert file.address == address


@pytest.mark.parametrize("address", ["hf://", "hf://name", "hf://a/b@", "hf://a/b/", "hf:/a/b"])
def test_a_malformed_address_is_the_users_error(address):
    with pytest.raises(UsageError, match="hf://organisation/name"):
        HubFile.from_address(address)


def test_a_file_is_downloaded_once(server):
    for _ in range(2):
        path = HubFile("org/name").fetch()
        assert path.read_bytes() == WEIGHTS
        assert published_sha256(path) == SHA256
    assert len(downloads(server)) == 1


@pytest.mark.parametrize("name", USUAL_FILES)
def test_the_usual_names_are_tried_in_turn(server, name):
    content = b'{"weight_map": {}}' if name.endswith(".json") else WEIGHTS
    server.files = {f"org/name/{name}": content}
    assert HubFile("org/name").fetch().name == name


@pytest.mark.parametrize("folder", ["", "sub/"])
def test_an_index_brings_its_shards(server, folder):
    index = {"weight_map": {"a": "1-of-2.safetensors", "b": "2-of-2.safetensors"}}
    name = f"{folder}model.safetensors.index.json"
    server.files = {
        f"org/name/{name}": json.dumps(index).encode(),
        f"org/name/{folder}1-of-2.safetensors": b"1",
        f"org/name/{folder}2-of-2.safetensors": b"2",
    }
    path = HubFile("org/name", name if folder else None).fetch()
    assert json.loads(path.read_text()) == index
    assert published_sha256(path) is None
    assert path.with_name("2-of-2.safetensors").read_bytes() == b"2"


def test_a_sharded_repository_of_torch_files_is_opened_as_its_folder_is(server, tmp_path):
    state = {name: torch.full((2, 3), float(number)) for number, name in enumerate("abc", start=1)}
    files = {"pytorch_model-1-of-2.bin": ["a", "b"], "pytorch_model-2-of-2.bin": ["c"]}
    weight_map = {name: file for file, names in files.items() for name in names}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for file, names in files.items():
        torch.save({name: state[name] for name in names}, tmp_path / file)
    server.files = {
        f"org/name/{path.name}": path.read_bytes() for path in tmp_path.iterdir() if path.is_file()
    }
    fetched = open_checkpoint(HubFile("org/name").fetch())
    for name, tensor in state.items():
        np.testing.assert_array_equal(fetched[name], tensor)
    assert set(fetched.names) == set(open_checkpoint(tmp_path).names)


@pytest.mark.parametrize(
    "shard", ["../other/secret.bin", "/etc/passwd", "a/b.bin", "a\\b", "..", ""]
)
def test_an_index_of_a_repository_names_files_beside_it_alone(server, shard):
    content = json.dumps({"weight_map": {"weight": shard}}).encode()
    server.files = {"org/name/pytorch_model.bin.index.json": content}
    with pytest.raises(InputError, match="no plain file name"):
        HubFile("org/name").fetch()
    assert len(downloads(server)) == 1


def test_an_index_without_a_map_is_refused(server):
    server.files = {"org/name/x.index.json": b"[]"}
    with pytest.raises(InputError, match="weight_map"):
        HubFile("org/name", "x.index.json").fetch()


def test_a_file_that_is_not_there_is_told_by_its_address(server):
    with pytest.raises(DownloadError, match=r"hf://org/name/other\.bin") as caught:
        HubFile("org/name", "other.bin").fetch()
    assert "\n" not in str(caught.value)


def test_a_repository_without_weights_is_told_by_the_first_usual_name(server):
    server.files = {}
    with pytest.raises(DownloadError, match=r"hf://org/name/model\.safetensors"):
        HubFile("org/name").fetch()


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [((401, "RepoNotFound"), "hf auth login"), ((403, "GatedRepo"), "hf auth login")],
)
def test_a_repository_that_is_closed_says_how_to_open_it(server, refusal, advice):
    server.refusals["org/name"] = refusal
    with pytest.raises(DownloadError, match=advice) as caught:
        HubFile("org/name").fetch()
    assert "hf://org/name" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_the_hub_forbids_is_the_users_error(server):
    with pytest.raises(UsageError, match="a--b"):
        HubFile("org/a--b").fetch()


@pytest.fixture
def other_host(server):
    """Another host, with the same files."""
    with http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler) as other:
        other.files, other.refusals, other.tags = server.files, {}, {}
        other.asked, other.tokens, other.targets = [], [], {}
        other.address = f"http://127.0.0.2:{other.server_port}"
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        yield other
        other.shutdown()


REDIRECTED = [("HEAD", "GET"), ("GET",)]


@pytest.mark.parametrize("methods", REDIRECTED)
def test_a_token_of_the_hub_goes_to_no_other_host(server, other_host, monkeypatch, methods):
    monkeypatch.setattr(hub.constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.targets = dict.fromkeys(methods, other_host.address)
    assert HubFile("org/name", "model.safetensors").fetch().read_bytes() == WEIGHTS
    assert other_host.tokens == [None]


@pytest.mark.parametrize("methods", REDIRECTED)
def test_a_hub_of_the_internet_leads_nobody_inside(server, other_host, monkeypatch, methods):
    """Its client follows wherever it is sent: to a router, or to the facts of a cloud machine."""
    server.targets = dict.fromkeys(methods, other_host.address)
    monkeypatch.setattr(hub_session, "is_private", lambda address: address == "127.0.0.2")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.2\. A server of the internet") as caught:
        HubFile("org/name", "model.safetensors").fetch()
    assert "\n" not in str(caught.value)
    assert other_host.asked == []
    assert hub.get_session().event_hooks["request"] == CLIENTS_OWN
    # A mirror within a network may send its callers to its neighbours.
    monkeypatch.setattr(hub_session, "is_private", lambda address: True)
    assert HubFile("org/name", "model.safetensors").fetch().read_bytes() == WEIGHTS


def test_a_damaged_copy_is_downloaded_once_more(server):
    path = HubFile("org/name").fetch()
    blob(path).write_bytes(b"x" * len(WEIGHTS))
    assert HubFile("org/name").fetch().read_bytes() == WEIGHTS
    assert len(downloads(server)) == 2


def test_bytes_that_are_not_the_published_ones_are_refused(server):
    server.tags["model.safetensors"] = "0" * 64
    with pytest.raises(DownloadError, match=SHA256) as caught:
        HubFile("org/name").fetch()
    assert "0" * 64 in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.fixture
def sockets(monkeypatch):
    """Return the connections that are tried; each is recorded, as the client swallows errors."""
    tried = []

    def connect(*arguments):
        tried.append(arguments)
        raise OSError("a socket was opened")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    # As in a new process, which has not asked the Hub anything yet.
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None, raising=False)
    return tried


@pytest.mark.parametrize("variable", ["KERASVIT_OFFLINE", "HF_HUB_OFFLINE"])
def test_without_network_a_copy_serves_and_no_socket_is_opened(
    server, monkeypatch, request, variable
):
    path = HubFile("org/name").fetch()
    monkeypatch.setenv(variable, "1")
    sockets = request.getfixturevalue("sockets")
    assert HubFile("org/name").fetch() == path
    with pytest.raises(DownloadError) as caught:
        HubFile("org/other").fetch()
    for part in ("hf://org/other/model.safetensors", str(server.cache), variable, "/org/other/"):
        assert part in str(caught.value)
    blob(path).write_bytes(b"x" * len(WEIGHTS))
    with pytest.raises(DownloadError, match=SHA256):
        HubFile("org/name").fetch()
    assert sockets == []


def test_a_hub_that_is_down_is_told_by_the_address(server, monkeypatch):
    def refuse(*arguments, **keywords):
        errors = importlib.import_module("huggingface_hub.errors")
        cause = ConnectionRefusedError(111, "Connection refused")
        raise errors.LocalEntryNotFoundError("not reached") from cause

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(DownloadError, match="Connection refused") as caught:
        HubFile("org/name").fetch()
    assert "hf://org/name/model.safetensors" in str(caught.value)


def test_a_cache_of_the_hub_that_cannot_be_written_is_an_output_error(server):
    server.cache.write_bytes(b"mine")
    with pytest.raises(OutputError, match="HF_HOME") as caught:
        HubFile("org/name").fetch()
    assert str(server.cache) in str(caught.value)
    assert server.cache.read_bytes() == b"mine"


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r'pip install "kerasvit\[hub\]"'):
        HubFile("org/name").fetch()
