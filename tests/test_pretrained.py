"""`from_pretrained` from a release, an address and a file, with a server on this machine."""

import functools
import hashlib
import http.server
import os
import shutil
import socket
import sys
import threading

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit import releases
from kerasvit.conversion import convert
from kerasvit.conversion.sources.hub import HubFile
from kerasvit.conversion.sources.remote import download
from kerasvit.errors import DownloadError, InputError, OutputError, UsageError
from kerasvit.models.vit import variants as vit_variants
from kerasvit.releases.schema import Release

MODEL = "vit_of_these_tests"
NAME = f"{MODEL}.tag"
FILE = "weights.safetensors"
PREPROCESSING = {
    "image_size": (224, 224),
    "crop_fraction": 0.9,
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
}


@pytest.fixture(scope="module")
def source_model(timm):
    """A model that is too small to have a name in timm."""
    sizes = {"img_size": 64, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 10}
    return timm.models.VisionTransformer(**sizes).eval()


@pytest.fixture(scope="module")
def weights(source_model):
    """The bytes of its checkpoint."""
    return checkpoint_of(source_model)


def checkpoint_of(module):
    import safetensors.torch

    return safetensors.torch.save(module.state_dict())


@pytest.fixture(autouse=True)
def small_variant(monkeypatch):
    """Give the small model a name here."""
    sizes = {"hidden_dim": 32, "num_layers": 2, "num_heads": 2, "mlp_dim": 128, "patch_size": 16}
    monkeypatch.setitem(vit_variants.VARIANTS, MODEL, {**sizes, "image_shape": (64, 64, 3)})


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch, weights):
    """A server of one checkpoint; `asked` are the paths that were asked for."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / FILE).write_bytes(weights)
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}/{FILE}"
        server.file = folder / FILE
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    for name in ("KERASVIT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERASVIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def publish(server, cache, monkeypatch, weights):
    """Add a release that is not in the records."""

    def publish(**changes):
        facts = {
            "name": NAME,
            "model": MODEL,
            "overrides": {"image_shape": (64, 64, 3), "num_classes": 10},
            "preprocessing": PREPROCESSING,
            "layout": "timm",
            "num_classes": 10,
            "url": server.url,
            "sha256": hashlib.sha256(weights).hexdigest(),
        }
        release = Release(**{**facts, **changes})
        monkeypatch.setattr(releases, "_load", lambda: ({release.name: release}, {}))
        return release

    return publish


@pytest.fixture
def forbid_network(monkeypatch):
    """Return what forbids the network as a user does, and proves that no connection is tried."""
    tried = []

    def connect(*arguments):
        tried.append(arguments)
        raise OSError("a socket was opened")

    def forbid(variable="KERASVIT_OFFLINE"):
        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, connect)
        monkeypatch.setattr(socket, "getaddrinfo", connect)
        monkeypatch.setenv(variable, "1")

    yield forbid
    assert tried == []


@pytest.fixture
def forbid_conversion(monkeypatch):
    """Return what makes any conversion an error."""

    def fail(*arguments, **keywords):
        raise AssertionError("a conversion was started")

    return lambda: monkeypatch.setattr("kerasvit.conversion.convert", fail)


def load(source=NAME, **arguments):
    return kerasvit.from_pretrained(source, verify=False, **arguments)


def only_file(folder, suffix):
    (path,) = folder.rglob(f"*{suffix}")
    return path


def files_of(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def logits(model):
    images = np.random.default_rng(0).normal(size=(1, *model.image_shape))
    return keras.ops.convert_to_numpy(model(images.astype("float32"))[0])


@pytest.mark.backend
def test_a_release_is_downloaded_proved_converted_and_kept(publish, server, cache, timm):
    import torch

    name = "vit_tiny_patch16_224"
    module = timm.create_model(name, num_classes=10).eval()
    server.file.write_bytes(checkpoint_of(module))
    digest = hashlib.sha256(server.file.read_bytes()).hexdigest()
    overrides = {"image_shape": (224, 224, 3), "num_classes": 10}
    publish(name=f"{name}.tag", model=name, overrides=overrides, sha256=digest)
    model = kerasvit.from_pretrained(f"{name}.tag")
    images = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")
    with torch.no_grad():
        expected = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(logits(model), expected, atol=1e-4 * np.abs(expected).max())
    assert model.record["release"] == f"{name}.tag"
    assert model.record["preprocessing"]["crop_fraction"] == 0.9
    assert model.record["source"]["sha256"] == digest
    assert model.record["source"]["notes"][0] == f"Taken from {server.url}."
    assert model.record["parity"]["logits"] <= 1e-4
    assert server.asked == [f"/{FILE}"]
    assert only_file(cache / "downloads", ".safetensors").read_bytes() == server.file.read_bytes()


def test_a_warm_cache_needs_no_network_and_no_conversion(
    publish, server, cache, forbid_network, forbid_conversion
):
    publish()
    expected = logits(load())
    shutil.rmtree(cache / "downloads")
    forbid_network()
    forbid_conversion()
    np.testing.assert_array_equal(logits(load()), expected)
    model = load(attention="cls", attention_blocks=[-1])
    assert (model.attention, model.attention_blocks) == ("cls", [1])
    assert server.asked == [f"/{FILE}"]


@pytest.mark.parametrize("variable", ["KERASVIT_OFFLINE", "HF_HUB_OFFLINE"])
def test_a_cold_cache_without_network_names_file_cache_and_address(
    publish, cache, server, forbid_network, variable
):
    publish()
    forbid_network(variable)
    with pytest.raises(DownloadError) as caught:
        load()
    for part in (FILE, str(cache), server.url, variable):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4
    assert files_of(cache) == []


def test_a_download_is_converted_without_network(publish, cache, forbid_network):
    publish()
    download(releases.find_release(NAME).url)
    forbid_network()
    assert load().num_classes == 10


def flip(path):
    """Change one bit in the middle of a file, and not its time."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_conversion_is_made_again_from_the_download(publish, server, cache, damage):
    publish()
    expected = logits(load())
    damage(only_file(cache, ".keras"))
    np.testing.assert_array_equal(logits(load()), expected)
    assert server.asked == [f"/{FILE}"]


def test_a_damaged_download_is_fetched_again_once(publish, server, cache):
    release = publish()
    path = download(release.url, release.sha256)
    cut(path)
    assert download(release.url, release.sha256) == path
    assert download(release.url, release.sha256) == path
    assert path.read_bytes() == server.file.read_bytes()
    assert len(server.asked) == 2


def test_a_damaged_download_without_network_is_not_used(publish, cache, forbid_network):
    release = publish()
    cut(download(release.url))
    forbid_network()
    with pytest.raises(DownloadError, match="no intact file"):
        load()


def test_a_file_that_was_not_published_is_not_kept(publish, server, cache):
    release = publish()
    flip(server.file)
    with pytest.raises(DownloadError, match=release.sha256):
        load()
    assert files_of(cache) == []


def test_a_failed_download_spares_the_good_file_in_the_cache(publish, server, cache):
    path = download(publish().url)
    good = path.read_bytes()
    with pytest.raises(DownloadError, match="0" * 64):
        load(sha256="0" * 64)
    assert path.read_bytes() == good
    assert download(server.url) == path
    assert len(server.asked) == 2


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><p>Log in", b"", "half"])
def test_a_page_or_half_a_file_without_a_published_hash_is_not_kept(
    publish, server, cache, content
):
    publish(sha256=None)
    whole = server.file.read_bytes()
    server.file.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(DownloadError, match="no whole checkpoint") as caught:
        load()
    assert "\n" not in str(caught.value)
    assert str(cache) not in str(caught.value)
    assert files_of(cache) == []


def test_an_address_is_a_source(cache, server):
    model = load(server.url, model=MODEL)
    assert model.num_classes == 10
    assert "release" not in model.record or model.record["release"] != NAME
    assert load(server.url, model=MODEL).num_classes == 10
    assert len(server.asked) == 1


def test_an_address_of_a_release_is_that_release(publish, server):
    publish()
    assert load(server.url).record["release"] == NAME


def test_a_random_head_is_not_kept(publish, cache):
    publish()
    first, second = (load(num_classes=3) for _ in range(2))
    kernels = [keras.ops.convert_to_numpy(model.head.kernel) for model in (first, second)]
    assert kernels[0].shape == (32, 3)
    assert np.abs(kernels[0] - kernels[1]).max() > 0
    assert not any(cache.rglob("*.keras"))


def test_arguments_that_change_the_weights_have_their_own_file(publish, cache, server):
    publish()
    assert load().num_classes == 10
    assert load(num_classes=0).num_classes == 0
    assert load().num_classes == 10
    assert len(list(cache.rglob("*.keras"))) == 2
    assert len(server.asked) == 1


@pytest.mark.backend
def test_the_dtype_policy_of_another_day_is_not_inherited(publish, cache):
    publish()
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        assert load().compute_dtype == "bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)
    assert load().compute_dtype == policy.compute_dtype


def test_a_cache_that_is_a_file_is_an_output_error(publish, server, tmp_path, monkeypatch):
    publish()
    (tmp_path / "file").write_bytes(b"mine")
    monkeypatch.setenv("KERASVIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="KERASVIT_CACHE"):
        load()
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert server.asked == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "vit_of_tomorrow"}, "vit_of_tomorrow"),
        ({"url": None, "hub": "org/name"}, r'pip install "kerasvit\[hub\]"'),
    ],
)
def test_what_cannot_be_converted_is_told_before_any_download(
    publish, server, cache, monkeypatch, changes, message
):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    publish(**changes)
    with pytest.raises(UsageError, match=message):
        load()
    assert server.asked == []
    assert files_of(cache) == []


def test_the_address_serves_where_the_hub_package_is_missing(publish, server, monkeypatch):
    publish(hub="org/name", url_layout="timm")
    monkeypatch.setattr("kerasvit.conversion.sources.hub.is_installed", lambda: False)
    assert load().num_classes == 10


def test_the_hub_is_preferred_and_its_file_is_the_release(publish, server, monkeypatch):
    publish(hub="org/name", url_layout="timm")
    taken = []
    monkeypatch.setattr("kerasvit.conversion.sources.hub.is_installed", lambda: True)
    monkeypatch.setattr(HubFile, "fetch", lambda file: taken.append(file) or server.file)
    for source in (NAME, "hf://org/name"):
        assert load(source).record["release"] == NAME
    assert taken == [HubFile("org/name")] * 2
    assert server.asked == []


@pytest.mark.parametrize(
    "source", ["http://example.invalid/a.pth", "ftp://a.b/c", "s3://a/b", "hf://name", "hf://a/b@"]
)
def test_other_addresses_are_the_users_error(cache, forbid_network, source):
    forbid_network()
    with pytest.raises(UsageError, match=r"https://|hf://"):
        load(source)


def test_an_unknown_name_is_the_users_error(cache):
    with pytest.raises(UsageError, match="dino_vits8"):
        load("dino_vits9")


def test_convert_takes_the_same_sources(publish, server, cache, tmp_path):
    publish()
    lines = []
    output = tmp_path / "out.keras"
    conversion = convert(NAME, output, verify=False, report=lines.append)
    assert conversion.model.record["release"] == NAME
    assert any(server.url in line for line in lines)
    assert kerasvit.from_pretrained(output).record["release"] == NAME
    assert not any(cache.rglob("*.keras"))


def test_local_files_and_state_dicts_do_not_touch_the_cache(cache, server, source_model):
    arguments = {"model": MODEL}
    expected = logits(load(server.file, **arguments))
    np.testing.assert_array_equal(logits(load(str(server.file), **arguments)), expected)
    np.testing.assert_array_equal(logits(load(source_model.state_dict(), **arguments)), expected)
    assert not cache.exists()


def test_a_missing_file_is_not_taken_for_a_release(cache):
    with pytest.raises(InputError, match=r"missing\.pth"):
        load("missing.pth")
