"""Every format and kind of model: what comes out of the real runtime is what the model gives."""

import hashlib
import json

import keras
import numpy as np
import pytest
from breadth import spread

import kerasvit
from kerasvit.exporting import FORMATS
from kerasvit.saliency import explain

pytestmark = [
    pytest.mark.backend,
    # Of PyTorch and TensorFlow among themselves, where a test opens what was written.
    pytest.mark.filterwarnings("ignore"),
]


def _flat(model, images):
    logits, sa_scores, ca_scores = model(images, training=False)
    outputs = {"logits": logits, **sa_scores, **ca_scores}
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


def _images(batch, shape=(16, 24, 3)):
    return np.random.default_rng(batch).normal(size=(batch, *shape)).astype("float32")


def _assert_same(given, wanted, tolerance=1e-5):
    assert set(given) == set(wanted)
    for name, value in wanted.items():
        assert given[name].shape == value.shape
        np.testing.assert_allclose(given[name], value, atol=tolerance * max(1, abs(value).max()))


# Each kind once, each attention mode once and more: all combinations are a benchmark.
KINDS = [("cait", "full"), ("distilled", "cls"), ("pooling", "full")]


@pytest.mark.parametrize("kind_mode", spread(KINDS, KINDS[:1]), ids="-".join)
def test_scores_come_out_by_name_at_any_batch(format_name, kind_mode, make_model, output):
    kind, mode = kind_mode
    model, path = make_model(kind), output(format_name)
    written = kerasvit.export(model, path, format_name, attention=mode)
    run = FORMATS[format_name].load(path)
    view = model.with_attention(mode)
    for batch in (1, 3):
        images = _images(batch)
        _assert_same(run(images), _flat(view, images))
    assert list(written.facts["outputs"]) == list(_flat(view, _images(1)))
    assert written.check["checked"]
    assert written.check["worst"] < 1e-5


def test_chosen_blocks_at_another_size(format_name, make_model, output):
    path = output(format_name)
    model = make_model("vit")
    kerasvit.export(model, path, format_name, blocks=[-1], image_size=(24, 8))
    run = FORMATS[format_name].load(path)
    images = _images(2, (24, 8, 3))
    given = run(images)
    assert sorted(given) == ["logits", "sa_ffn_block_01_att"]
    _assert_same(given, _flat(model.with_attention("full", [1]), images))


METHODS = [("cait", "rollout"), ("distilled", "attention")]


@pytest.mark.parametrize("kind_method", spread(METHODS, METHODS[1:]), ids="-".join)
def test_the_map_itself_and_pictures_as_they_are(format_name, kind_method, make_model, output):
    """uint8 in, the map out: the same as Python's own preprocessing and `explain`."""
    kind, method = kind_method
    model, path = make_model(kind), output(format_name)
    kerasvit.export(model, path, format_name, saliency=method, preprocess=True)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), dtype=np.uint8)
    given = FORMATS[format_name].load(path)(pictures)
    images = (pictures.astype("float32") / 255 - 0.5) / 0.5
    wanted = explain(model, images, method)
    np.testing.assert_allclose(given["saliency"], wanted.values, atol=1e-6)
    np.testing.assert_allclose(given["logits"], wanted.logits, atol=1e-5)


def test_half_the_size_in_float16(format_name, make_model, output):
    arguments = {"hidden_dim": 64, "mlp_dim": 256, "num_layers": 1}
    model, path = make_model("vit", **arguments), output(format_name)
    sizes = []
    for precision in ("float32", "float16"):
        kerasvit.export(model, path, format_name, precision=precision, overwrite=True)
        files = json.loads(path.with_name(f"{path.name}.json").read_text())["files"]
        sizes.append(sum(file["bytes"] for file in files.values()))
    assert sizes[0] - sizes[1] > 0.5 * 2 * model.count_params()
    images = _images(2)
    given = FORMATS[format_name].load(path)(images)
    _assert_same(given, _flat(model, images), 1e-2)


def test_the_sidecar_tells_what_was_compared(format_name, make_model, output):
    path = output(format_name)
    kerasvit.export(make_model("distilled"), path, format_name, attention="cls")
    text = path.with_name(f"{path.name}.json").read_text(encoding="utf-8")
    sidecar = json.loads(text)
    assert sidecar["class_names"] == ["ant", "bee", "café"]
    assert "café" in text
    assert sidecar["licence"] == "CC0"
    assert sidecar["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert sidecar["input"]["shape"] == ["batch", 16, 24, 3]
    assert sidecar["outputs"]["sa_ffn_block_01_att"] == ["batch", 2, 2, 8]
    assert sidecar["tokens"]["sa"]["prefix"] == ["class", "distillation"]
    assert sidecar["tokens"]["sa"]["grid"] == [2, 3]
    assert set(sidecar["check"]["deviations"]) == set(sidecar["outputs"])
    assert sidecar["check"]["batches"] == [1, 5]
    for name, digest in sidecar["files"].items():
        file = path.parent / name
        assert digest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    # Nothing but the output and what its sidecar names lies there.
    made = {file.relative_to(path.parent).as_posix() for file in path.parent.rglob("*")}
    files = {name for name in made if (path.parent / name).is_file()}
    assert files == {*sidecar["files"], f"{path.name}.json"}
