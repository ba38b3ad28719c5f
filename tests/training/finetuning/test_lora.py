import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.training.finetuning.lora import enable_lora, freeze_backbone


@pytest.fixture
def make(tiny_arguments):
    """Function from a kind to a tiny model."""

    def model(kind):
        common = {**tiny_arguments, "num_classes": 3}
        if kind == "cait":
            return kerasvit.CaiT(**common, num_class_layers=1, layer_scale_init_value=1.0)
        return kerasvit.VisionTransformer(**common)

    return model


def _kernel(weight):
    return keras.ops.convert_to_numpy(weight).copy()


def _images():
    return np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")


def _logits(model):
    return np.asarray(model.predict_on_batch(_images())[0])


def test_nothing_but_the_head_is_trainable_after_freezing(make):
    model = make("vit")
    freeze_backbone(model)
    assert {weight.path.split("/")[-2] for weight in model.trainable_weights} == {"head"}


@pytest.mark.backend
@pytest.mark.parametrize("kind", ["vit", "cait"])
def test_adapted_layers_start_as_they_were_and_the_rest_is_frozen(make, kind):
    model = make(kind)
    before = _logits(model)
    paths = enable_lora(model, rank=2)
    np.testing.assert_allclose(_logits(model), before, atol=1e-6)
    trainable = {weight.path for weight in model.trainable_weights}
    assert trainable
    assert all("lora_kernel" in path or "/head/" in path for path in trainable)
    # Attention and MLP of every block: qkv or query, key and value; projection; two of the MLP.
    assert len(paths) == (2 * 4 if kind == "vit" else 2 * 4 + 6)
    assert len(trainable) == 2 * len(paths) + 2


def test_a_saved_model_is_plain_and_gives_the_same(make, tmp_path):
    model = make("cait")
    kernel = _kernel(model.blocks[0].attention.qkv._kernel)
    enable_lora(model, rank=2)
    view = model.with_attention("none")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    view.compile(keras.optimizers.Adam(0.05), loss, jit_compile=False)
    view.fit(_images(), np.array([0, 1, 2, 0]), epochs=2, batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kerasvit.from_pretrained(tmp_path / "model.keras")
    assert not any("lora" in weight.path for weight in loaded.weights)
    np.testing.assert_allclose(_logits(loaded), _logits(model), atol=1e-5)
    np.testing.assert_array_equal(_kernel(model.blocks[0].attention.qkv._kernel), kernel)
    assert np.abs(_kernel(loaded.blocks[0].attention.qkv.kernel) - kernel).max() > 1e-4
    assert loaded.count_params() == make("cait").count_params()


@pytest.mark.backend
def test_the_seed_decides_the_start(make):
    first, again, other = (make("vit") for _ in range(3))
    for model, seed in ((first, 0), (again, 0), (other, 1)):
        enable_lora(model, rank=2, seed=seed)
    kernels = [
        [_kernel(block.mlp.dense_1.lora_kernel_a) for block in model.blocks]
        for model in (first, again, other)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0][0] - kernels[2][0]).max() > 1e-3
    assert np.abs(kernels[0][0] - kernels[0][1]).max() > 1e-3


def test_a_rank_below_one_is_refused(make):
    with pytest.raises(UsageError, match="at least 1"):
        enable_lora(make("vit"), rank=0)
