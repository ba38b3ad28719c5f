"""What docs/how_to/exporting.md tells people to run, run."""

import pathlib
import re
import shlex

import keras
import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit.cli import main
from kerasvit.images import Preprocessing

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "how_to" / "exporting.md"
BACKENDS = {"onnx": "torch", "saved_model": "tensorflow"}
pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore")]


def _example(name):
    """Return the Python of an example, and the command before it."""
    before, code = PAGE.read_text(encoding="utf-8").split(f"```python\n# {name}\n")
    commands = re.findall(r"^kerasvit (export .*)$", before, re.M)
    return shlex.split(commands[-1]), code.split("```")[0]


@pytest.mark.parametrize("name", BACKENDS)
def test_the_examples_run_and_give_what_the_model_gives(name, tmp_path, monkeypatch):
    if keras.backend.backend() != BACKENDS[name]:
        pytest.skip(f"written by {BACKENDS[name]}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cait").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("picture.png")
    command, code = _example(name)
    assert main(command) == 0
    found = {}
    exec(code, found)
    model = kerasvit.from_pretrained(attention="cls")
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    logits, _, scores = model(preprocessing.evaluate(pixels).pixels[None])
    wanted = keras.ops.convert_to_numpy(scores["ca_ffn_block_00_att"])[0]
    np.testing.assert_allclose(np.reshape(found["scores"], wanted.shape), wanted, atol=1e-5)
    wanted = keras.ops.convert_to_numpy(logits)[0]
    np.testing.assert_allclose(np.ravel(found["logits"]), wanted, atol=1e-4)
    if name == "onnx":
        assert found["name"] == model.record["class_names"][wanted.argmax()]
        assert found["attention"].shape == (8, 8)
