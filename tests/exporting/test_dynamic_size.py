"""Files that take pictures of any size: positions are computed inside."""

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.exporting import FORMATS
from kerasvit.saliency import explain

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore")]

# As trained; smaller and larger at once; larger.
SIZES = [(16, 24), (16, 48), (40, 32)]
REFUSALS = {
    "onnx": "reshape",
    "saved_model": "multiples of the patch size",
    "stablehlo": "remainder",
    "torch": "Guard failed",
}


def _flat(model, images):
    logits, sa_scores, ca_scores = model(images, training=False)
    outputs = {"logits": logits, **sa_scores, **ca_scores}
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


# The rule with an offset, which leaves the trained grid alone and shifts any other; angles of a
# formula, and of learned frequencies; waves beside convolutions.
KINDS = {
    "distilled": {"position_resampling": "bicubic_offset"},
    "rotary": {},
    "mixed": {},
    "xcit": {},
}


# Each kind and each format.
SAMPLE = {
    ("onnx", "distilled"),
    ("onnx", "xcit"),
    ("openvino", "xcit"),
    ("torch", "mixed"),
    ("saved_model", "distilled"),
    ("saved_model", "rotary"),
    ("litert", "xcit"),
    ("stablehlo", "rotary"),
}


def test_one_file_takes_every_size(format_kind, make_model, output):
    format_name, kind = format_kind
    if format_name == "openvino":
        pytest.skip("made from the ONNX file; benchmarks/exports/checks.py runs it")
    model = make_model(kind, num_layers=1, **KINDS[kind])
    path = output(format_name)
    written = kerasvit.export(model, path, format_name, image_size="dynamic")
    assert written.check["worst"] < 1e-5
    run = FORMATS[format_name].load(path)
    random = np.random.default_rng(0)
    for size in SIZES:
        images = random.normal(size=(3, *size, 3)).astype("float32")
        given, wanted = run(images), _flat(model, images)
        assert set(given) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(given[name], value, atol=1e-5 * max(1, abs(value).max()))
    assert written.facts["input"]["shape"] == ["batch", "height", "width", 3]
    name, sides = ("xca", [8, 8]) if kind == "xcit" else ("sa", ["tokens", "tokens"])
    assert written.facts["outputs"][f"{name}_ffn_block_00_att"] == ["batch", 2, *sides]
    assert written.facts["tokens"]["sa"]["grid"] == ["rows", "columns"]
    assert len({tuple(size) for size in written.check["sizes"]}) == 3
    refusals = REFUSALS | ({"litert": "RESHAPE"} if kind == "xcit" else {})
    if format_name in refusals:
        # Of two rows and a half, or of one and a half: three rows of a convolution are no two.
        for batch, size in ((2, (20, 24)), (4, (12, 24)), (2, (16, 20))):
            with pytest.raises(Exception, match=refusals[format_name]):
                run(np.zeros((batch, *size, 3), np.float32))


def test_the_map_has_the_grid_of_the_picture(make_model, output):
    format_name = {"torch": "onnx", "tensorflow": "saved_model"}.get(keras.backend.backend())
    if format_name is None:
        pytest.skip("ONNX and SavedModel stand for all")
    model, path = make_model("vit", num_layers=1), output(format_name)
    asked = {"saliency": "rollout", "preprocess": True}
    kerasvit.export(model, path, format_name, image_size="dynamic", **asked)
    run = FORMATS[format_name].load(path)
    for size in SIZES:
        pictures = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
        wanted = explain(model, (pictures.astype("float32") / 255 - 0.5) / 0.5, "rollout")
        np.testing.assert_allclose(run(pictures)["saliency"], wanted.values, atol=1e-6)
