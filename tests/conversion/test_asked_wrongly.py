"""What is asked for wrongly is told before it costs anything."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import kerasvit
from kerasvit.conversion import convert
from kerasvit.conversion.export import export_weights
from kerasvit.errors import UsageError

NAME = "vit_nano_patch4_32"


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    path = tmp_path_factory.mktemp("nano") / "nano.safetensors"
    export_weights(kerasvit.from_pretrained(f"{NAME}.cifar10"), path, "timm")
    return path


@pytest.mark.parametrize("names", [{"model": "no_such_model"}, {"release": "no.such_release"}])
def test_an_unknown_name_is_told_before_any_download(monkeypatch, names):
    monkeypatch.setattr("socket.socket.connect", lambda *address: 1 / 0)
    with pytest.raises(UsageError):
        convert("https://example.org/model.pth", **names)


def test_more_classes_than_there_can_be_are_refused_at_once(nano):
    with pytest.raises(UsageError, match="at most"):
        convert(nano, model=NAME, num_heads=3, num_classes=10**8)


def test_a_head_of_two_layers_is_left_out_when_no_classes_are_asked_for(nano, tmp_path):
    tensors, generator = load_file(nano), np.random.default_rng(0)
    del tensors["head.weight"], tensors["head.bias"]
    for name, shape in {"0.weight": (32, 96), "0.bias": (32,), "2.weight": (10, 32)}.items():
        tensors[f"head.{name}"] = generator.normal(size=shape).astype(np.float32)
    save_file(tensors, tmp_path / "mlp.safetensors")
    conversion = convert(tmp_path / "mlp.safetensors", model=NAME, num_heads=3, num_classes=0)
    assert conversion.model.num_classes == 0
    assert any("head.2.weight" in note for note in conversion.notes)
