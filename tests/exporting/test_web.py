"""The page for browsers: what it holds, and what a real Chromium computes and draws with it."""

import base64
import contextlib
import functools
import http.server
import io
import json
import re
import threading

import keras
import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.exporting.formats.web.runtime import FILES


def _facts(page):
    return json.loads(re.search(r'id="facts">(.*?)</script>', page, re.S)[1])


@pytest.mark.parametrize("name", ["page", "page.html"])
def test_a_page_is_a_folder_or_one_file_with_all_that_it_needs(
    make_model, tmp_path, empty_runtime, name
):
    path = tmp_path / name
    model = make_model("distilled")
    model.record["class_names"] = ["ant", "</script>", "café"]
    written = kerasvit.export(model, path, "web", runtime=empty_runtime)
    assert written.check["checked"]
    page = (path / "index.html" if path.is_dir() else path).read_text(encoding="utf-8")
    facts = _facts(page)
    assert facts["class_names"] == ["ant", "</script>", "café"]
    assert facts["size"] == [16, 24]
    layer = {"heads": 2, "prefix": 2, "grid": [2, 3]}
    assert facts["layers"] == dict.fromkeys(["sa_ffn_block_00_att", "sa_ffn_block_01_att"], layer)
    assert facts["start"] == "sa_ffn_block_01_att"
    assert "http:" not in page
    assert "https:" not in page
    if path.is_dir():
        files = {file.name for file in path.iterdir()}
        assert files == {"index.html", "model.onnx", *FILES.values()}
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".kerasvit")]


@pytest.mark.parametrize("kind", ["cait", "gap"])
def test_a_page_starts_with_what_the_model_looks_at(make_model, tmp_path, empty_runtime, kind):
    """CaiT's first block of class attention; a map where no class token asks."""
    overrides = {"use_class_token": False, "pooling": "average"} if kind == "gap" else {}
    model = make_model("vit" if kind == "gap" else kind, **overrides)
    kerasvit.export(model, tmp_path / "page.html", runtime=empty_runtime)
    facts = _facts((tmp_path / "page.html").read_text(encoding="utf-8"))
    if kind == "cait":
        assert list(facts["layers"]) == ["ca_ffn_block_00_att", "ca_ffn_block_01_att"]
        assert facts["start"] == "ca_ffn_block_00_att"
    else:
        assert facts["layers"] == {"saliency": {"heads": 1, "prefix": 0, "grid": [2, 3]}}


def test_without_the_runtime_of_browsers_it_says_where_from(make_model, tmp_path, monkeypatch):
    monkeypatch.delenv("KERASVIT_ONNXRUNTIME_WEB", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="npm install onnxruntime-web"):
        kerasvit.export(make_model(), tmp_path / "page", "web")
    with pytest.raises(UsageError, match=f"without {FILES['runtime']}"):
        kerasvit.export(make_model(), tmp_path / "page", "web", runtime=tmp_path)
    assert not list(tmp_path.iterdir())


# ---- in a browser ----


@contextlib.contextmanager
def serving(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


_DROP = """(async () => {{
  const bytes = Uint8Array.from(atob("{png}"), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "picture.png", {{ type: "image/png" }}));
  dispatchEvent(new DragEvent("drop", {{ dataTransfer: data, cancelable: true }}));
  while (!window.kerasvit.settled()) await new Promise((done) => setTimeout(done, 10));
  const outputs = Object.entries(window.kerasvit.outputs());
  return {{
    pixels: Array.from(window.kerasvit.pixels),
    map: window.kerasvit.map,
    outputs: Object.fromEntries(outputs.map(([name, value]) =>
      [name, {{ data: Array.from(value.data), dims: Array.from(value.dims) }}])),
    classes: Array.from(document.querySelectorAll("#classes li"), (item) => item.textContent),
    status: document.getElementById("status").textContent,
    since: performance.now(),
  }};
}})()"""


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_browser_computes_what_keras_does_and_asks_nobody(page, tmp_path, web_runtime, kind):
    """The shipped CaiT on a dropped picture: classes, scores, the map that is drawn."""
    model = kerasvit.from_pretrained()
    path = tmp_path / ("page" if kind == "folder" else "page.html")
    kerasvit.export(model, path, "web", runtime=web_runtime)
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC))
    with serving(path) if kind == "folder" else contextlib.nullcontext(path.as_uri()) as address:
        page.visit(address)
        found = page.run(_DROP.format(png=_png(picture)))
        addresses = page.addresses()
    # A picture of the model's own size reaches it as it is.
    pixels = np.uint8(found["pixels"]).reshape(32, 32, 3)
    np.testing.assert_array_equal(pixels, picture)
    preprocessing = kerasvit.images.Preprocessing.from_dict(model.record["preprocessing"])
    images = preprocessing.evaluate(pixels).pixels[None]
    logits, _, scores = model.with_attention("cls")(images)
    wanted = {"logits": logits, **scores}
    assert set(found["outputs"]) == set(wanted)
    for name, value in wanted.items():
        value = keras.ops.convert_to_numpy(value)
        given = np.reshape(found["outputs"][name]["data"], found["outputs"][name]["dims"])
        np.testing.assert_allclose(given, value, atol=1e-5)
    first = keras.ops.convert_to_numpy(scores["ca_ffn_block_00_att"])
    np.testing.assert_allclose(found["map"], first[0, :, 0, 1:].mean(axis=0), atol=1e-5)
    top = model.record["class_names"][int(np.argmax(keras.ops.convert_to_numpy(logits)))]
    assert found["classes"][0].startswith(top)
    assert found["status"].endswith("ms")
    assert all(asked.startswith((address, "blob:", "data:", "about:")) for asked in addresses)
    assert page.complaints() == []
    print(f"\nfirst map after {found['since'] / 1000:.2f} s, {found['status']} of it the picture's")


@pytest.mark.browser
def test_browser_says_what_is_wrong_with_a_file_that_is_no_picture(
    page, tmp_path, web_runtime, make_model
):
    kerasvit.export(make_model("cait"), tmp_path / "page.html", runtime=web_runtime)
    page.visit((tmp_path / "page.html").as_uri())
    code = """(async () => {
      await window.kerasvit.look(new File(["no picture"], "a.png", { type: "image/png" }));
      return document.getElementById("status").textContent;
    })()"""
    assert "could not be shown" in page.run(code)
    assert page.run("window.kerasvit.settled()")
