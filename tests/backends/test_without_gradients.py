"""Keras' OpenVINO and NumPy backends: the same numbers, and what they lack said in one line.

Each runs in a process of its own. `python tests/backends/every_architecture.py` takes them all.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
ONE_OF_EACH = [
    "cait_xxs24_224",
    "deit_tiny_distilled_patch16_224",
    "vit_small_patch14_reg4_dinov2",
    "vit_base_patch16_siglip_224",
    "vit_dwee_patch16_reg1_gap_256",
    "beit3_base_patch16_224",
]

USES = """
import json, socket, sys

asked = []
socket.getaddrinfo = lambda host, *rest, **more: asked.append(str(host)) or []
socket.socket.connect = lambda self, address: asked.append(str(address))

import numpy as np
import keras
import kerasvit
from kerasvit.saliency import METHODS, explain

out, is_whole = {}, sys.argv[1] == "openvino"
model = kerasvit.from_pretrained()
images = np.random.default_rng(0).random((2, 32, 32, 3)).astype("float32")
logits = keras.ops.convert_to_numpy(model(images)[0])
near = lambda other: float(np.abs(np.asarray(other) - logits).max())
out["predict"] = near(model.predict(images, verbose=0)[0])
out["part of a model"] = near(
    keras.Sequential([keras.layers.Rescaling(2.0), model.classifier()])
    .predict(images / 2, verbose=0)
)
model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
loss = model.evaluate(images, np.array([0, 1]), verbose=0)
shifted = logits - logits.max(axis=1, keepdims=True)
expected = (np.log(np.exp(shifted).sum(axis=1)) - shifted[[0, 1], [0, 1]]).mean()
out["evaluate"] = abs(float(loss) - float(expected))
for name in METHODS:
    if name not in ("rise", "occlusion"):  # Many passes, and nothing new.
        try:
            explain(model, images, name)
            out.setdefault("drawn", []).append(name)
        except kerasvit.errors.UsageError as error:
            out.setdefault("refused", {})[name] = str(error)
weights = model.get_weights()
model.set_weights([weight * 1.01 for weight in weights])
out["other weights"] = near(keras.ops.convert_to_numpy(model(images)[0]))
model.set_weights(weights)
out["the same weights"] = near(keras.ops.convert_to_numpy(model(images)[0]))
out["asked"] = asked
print(json.dumps(out))
"""


def _environment(backend: str) -> dict[str, str]:
    if backend == "openvino" and importlib.util.find_spec("openvino") is None:
        pytest.skip("needs openvino, of the extra `openvino`")
    if backend == "numpy" and importlib.util.find_spec("jax") is None:
        pytest.skip("Keras' NumPy backend needs jax")
    return {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.mark.parametrize("backend", ["openvino", "numpy"])
def test_a_model_of_each_kind_is_the_same(backend):
    _environment(backend)
    specification = importlib.util.spec_from_file_location("others", HERE / "every_architecture.py")
    others = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(others)
    by_name = others.compare(ONE_OF_EACH, [backend])[backend]
    assert sorted(by_name) == sorted(ONE_OF_EACH)
    for name, worst in by_name.items():
        assert worst["logits"] < 2e-5, name
        assert worst["scores"] < 5e-6, name


@pytest.mark.parametrize("backend", ["openvino", "numpy"])
def test_what_a_user_does_there(backend):
    run = subprocess.run(
        [sys.executable, "-c", USES, backend],
        env=_environment(backend),
        capture_output=True,
        text=True,
        check=True,
    )
    out = json.loads(run.stdout.splitlines()[-1])
    for use in ("predict", "part of a model", "evaluate", "the same weights"):
        assert out[use] < 1e-5, (use, out[use])
    assert out["other weights"] > 1e-3
    assert out["asked"] == []  # OpenVINO comes with a package for telemetry.
    assert {"attention", "rollout", "tokencut"} <= set(out["drawn"])
    assert {"relevance", "gradcam", "integrated_gradients"} <= set(out["refused"])
    for message in out["refused"].values():
        assert "jax, tensorflow, torch" in message
        assert backend in message


@pytest.mark.parametrize("backend", ["openvino", "numpy"])
def test_the_command_draws_attention_and_says_why(backend, tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype="uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "kerasvit"]
    arguments = [str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    environment = _environment(backend)
    run = subprocess.run(
        [*command, "saliency", *arguments], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert f"{backend} has no gradients" in run.stderr
    assert (tmp_path / "out" / "a.png").exists()

    refused = subprocess.run(
        [*command, "train", "cifar10_vit_nano", "-o", str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2
    assert "Training needs gradients" in refused.stderr
    assert not (tmp_path / "run").exists()
