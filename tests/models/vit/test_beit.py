"""BEiT as a model: files, other sizes, gradients and training reach its relative biases."""

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.saliency import explain


@pytest.fixture
def model():
    made = kerasvit.create_model(
        "beitv2_base_patch16_224", image_shape=(32, 48, 3), patch_size=8, hidden_dim=24,
        num_layers=2, num_heads=3, mlp_dim=20, num_classes=4,
    )  # fmt: skip
    random = np.random.default_rng(0)
    for weight in made.weights:
        weight.assign(random.normal(0, 0.4, weight.shape).astype("float32"))
    return made


@pytest.mark.backend
def test_files_keep_the_biases(model, tmp_path):
    images = np.random.default_rng(1).normal(size=(2, 40, 24, 3)).astype("float32")
    model.save(tmp_path / "x.keras")
    other = keras.saving.load_model(tmp_path / "x.keras")
    outputs = [keras.tree.flatten(each(images)) for each in (model, other)]
    for one, same in zip(*outputs, strict=True):
        one, same = map(keras.ops.convert_to_numpy, (one, same))
        np.testing.assert_allclose(one, same, atol=1e-6)


@pytest.mark.backend
def test_training_moves_the_biases(model):
    tables = [weight for weight in model.trainable_weights if weight.path.endswith("bias/table")]
    assert len(tables) == 2
    before = [keras.ops.convert_to_numpy(table) for table in tables]
    random = np.random.default_rng(2)
    images = random.normal(size=(8, 32, 48, 3)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(images, np.arange(8) % 4, batch_size=4, verbose=0)
    for table, old in zip(tables, before, strict=True):
        assert np.abs(keras.ops.convert_to_numpy(table) - old).max() > 0


@pytest.mark.parametrize("method", ["attention", "rollout", "relevance", "gradcam", "legrad"])
def test_saliency_at_another_size(model, method):
    images = np.random.default_rng(3).normal(size=(2, 24, 40, 3)).astype("float32")
    found = explain(model, images, method)
    assert found.values.shape[-2:] == (3, 5)
    assert np.isfinite(found.values).all()


def test_what_the_biases_do_not_know_is_refused():
    small = {
        "hidden_dim": 8,
        "num_layers": 1,
        "num_heads": 2,
        "mlp_dim": 8,
        "image_shape": (32, 32, 3),
    }
    with pytest.raises(ValueError, match="num_registers=2"):
        kerasvit.VisionTransformer(**small, use_relative_position_bias=True, num_registers=2)


def test_an_export_holds_the_biases(model, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    exported = kerasvit.export(model, tmp_path / "x.onnx")
    assert exported.check["checked"]
    assert "sa_ffn_block_01_att" in exported.check["deviations"]
    with pytest.raises(kerasvit.KerasViTError, match="one size"):
        kerasvit.export(model, tmp_path / "y.onnx", image_size="dynamic")
