"""What XLA compiles, by device, and that nothing is compiled twice."""

import keras
import numpy as np
import pytest

from kerasvit.layers.primitives import fusing
from kerasvit.models import CaiT
from kerasvit.training import compilation
from kerasvit.training.compilation import jit_compile
from kerasvit.training.distillation.student import DistilledTraining
from kerasvit.training.run.building import build_model, compile_model

DEVICES = {"cpu": ["CPU"], "gpu": ["CPU", "GPU"], "tpu": ["CPU", "TPU"]}


@pytest.mark.parametrize(
    ("backend", "device", "choices"),
    [
        ("jax", "cpu", (True, True, False)),
        ("jax", "gpu", (True, True, False)),
        ("tensorflow", "cpu", (False, True, False)),
        ("tensorflow", "gpu", (True, True, False)),
        ("tensorflow", "tpu", (True, True, False)),
        ("torch", "cpu", (False, False, False)),
        ("torch", "gpu", (False, False, False)),
    ],
)
def test_what_is_fast_is_chosen_by_backend_and_device(monkeypatch, backend, device, choices):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(compilation, "_has_accelerator", lambda: device != "cpu")
    assert tuple(map(jit_compile, ("auto", True, False))) == choices
    assert jit_compile() == choices[0]


@pytest.mark.parametrize("kinds", DEVICES.values(), ids=DEVICES)
def test_an_accelerator_is_what_tensorflow_sees(monkeypatch, kinds):
    tensorflow = pytest.importorskip("tensorflow")
    devices = [tensorflow.config.PhysicalDevice(f"/{kind}:0", kind) for kind in kinds]
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda: devices)
    assert compilation._has_accelerator() == (len(kinds) > 1)


@pytest.mark.backend
@pytest.mark.parametrize("choice", ["auto", True, False])
def test_a_recipe_compiles_with_its_choice(tiny, monkeypatch, choice):
    model = build_model(tiny(), num_classes=3)
    given = {}
    monkeypatch.setattr(model, "compile", lambda *_, **options: given.update(options))
    compile_model(model, tiny(run={"jit_compile": choice}), steps=3)
    assert given["jit_compile"] == jit_compile(choice)
    assert tiny().run.jit_compile == "auto"


@pytest.mark.backend
@pytest.mark.parametrize("is_wrapped", [False, True], ids=["model", "student"])
# Without XLA JAX computes one operation after the other: no step, and no parts.
@pytest.mark.parametrize("jit", [True, False] if keras.backend.backend() != "jax" else [True])
def test_parts_of_a_compiled_step_are_not_compiled_by_themselves(monkeypatch, is_wrapped, jit):
    """Otherwise TensorFlow takes the weights for constants, and compiles anew in every step."""
    if keras.backend.backend() == "torch" and jit:
        pytest.skip("PyTorch compiles nothing")
    parts = []

    def compiled(function, is_given):
        parts.append(function)
        return fusing._traced(function, is_given)

    for name in ("_kept", "_recomputed"):
        monkeypatch.setattr(fusing, name, compiled)
    model = CaiT(
        image_shape=(8, 8, 3),
        patch_size=4,
        num_classes=3,
        hidden_dim=16,
        num_layers=1,
        num_class_layers=1,
        num_heads=2,
        mlp_dim=16,
    )
    training = DistilledTraining(model, "hard") if is_wrapped else model
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    training.compile("sgd", loss, jit_compile=jit)
    labels = np.arange(2)
    teacher = np.eye(3, dtype="float32")[labels]
    targets = {"labels": labels, "teacher": teacher} if is_wrapped else labels
    training.train_on_batch(np.zeros((2, 8, 8, 3), "float32"), targets)
    fuses = keras.backend.backend() == "tensorflow" and not jit
    assert bool(parts) == fuses
