"""What every model can, rotary ones, BEiT and XCiT can: learn, adapt, freeze, shrink, be saved."""

import warnings

import families
import keras
import numpy as np
import pytest
from keras.ops import cast
from keras.ops import convert_to_numpy as to_numpy

import kerasvit
from kerasvit.models.opening.without_values import without_values
from kerasvit.training.finetuning.lora import enable_lora, freeze_backbone
from kerasvit.training.run.rematerialisation import rematerialise

every_kind = pytest.mark.parametrize("kind", families.KINDS)
# Learned angles, biases of places, statistics of batches: where backends could differ.
everywhere = pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.backend) for k in ("mixed", "XCiT")]
)
IMAGES, LABELS = families.images_of(), np.arange(4)


def _fit(model, epochs=2):
    """Train, and return the losses; a gradient that is missing is an error."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    is_slow = keras.backend.backend() == "tensorflow"
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False if is_slow else "auto")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*radient.*")
        history = model.fit(IMAGES, LABELS, batch_size=2, epochs=epochs, shuffle=False, verbose=0)
    return history.history["loss"]


def _values(weights):
    return {weight.path: to_numpy(weight).copy() for weight in weights}


def _unchanged(weights, before):
    return [w.path for w in weights if np.array_equal(to_numpy(w), before[w.path])]


def _logits(model):
    return to_numpy(cast(model(IMAGES)[0], "float32"))


def _check_learning(kind, folder):
    model = families.make(kind)
    before = _values(model.weights)
    losses = _fit(model)
    assert losses[-1] < losses[0]
    assert not _unchanged(model.weights, before)
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    np.testing.assert_allclose(_logits(loaded), _logits(model), atol=1e-5)


@everywhere
def test_every_weight_learns_on_every_backend(tmp_path, kind):
    _check_learning(kind, tmp_path)


@pytest.mark.parametrize("kind", sorted(set(families.KINDS) - {"mixed", "XCiT"}))
def test_every_weight_learns(tmp_path, kind):
    _check_learning(kind, tmp_path)


@every_kind
def test_every_dense_layer_of_a_block_adapts_at_low_rank_and_nothing_else_moves(tmp_path, kind):
    model = families.make(kind)
    before, logits = _values(model.weights), _logits(model)
    head = _values(model.head.weights)
    paths = enable_lora(model, rank=2)
    kernels = {path for path in before if "_block_" in path and path.endswith("/kernel")}
    assert {f"{path}/kernel" for path in paths} == {k for k in kernels if "convolution" not in k}
    np.testing.assert_allclose(_logits(model), logits, atol=2e-5)
    _fit(model, epochs=1)
    kept = [weight for weight in model.weights if weight.path in set(before) - set(head)]
    assert sorted(_unchanged(kept, before)) == sorted(weight.path for weight in kept)
    assert all(to_numpy(weight).any() for weight in model.weights if "kernel_b" in weight.path)
    model.save(tmp_path / "model.keras")
    loaded = kerasvit.from_pretrained(tmp_path / "model.keras")
    assert not any("lora" in weight.path for weight in loaded.weights)
    np.testing.assert_allclose(_logits(loaded), _logits(model), atol=2e-5)


def test_statistics_of_batches_are_frozen_with_their_norms_and_learn_again_from_the_file(tmp_path):
    """What a frozen backbone gives must be what it gives later, without a batch round it."""
    model = families.make("XCiT")
    freeze_backbone(model)
    before = _values(model.weights)
    training = to_numpy(model(IMAGES, training=True)[0])
    np.testing.assert_allclose(training, _logits(model), atol=1e-5)
    _fit(model, epochs=1)
    assert len(_unchanged(model.weights, before)) == len(before) - 2  # kernel and bias of the head
    model.save(tmp_path / "model.keras")
    loaded = kerasvit.from_pretrained(tmp_path / "model.keras")
    before = _values(loaded.weights)
    _fit(loaded, epochs=1)
    assert not _unchanged(loaded.weights, before)


@pytest.mark.parametrize("kind", ["grouped", "BEiT", "XCiT"])
def test_half_precision_and_eight_bits_give_almost_the_same(tmp_path, kind):
    model = families.make(kind)
    wanted = _logits(model)
    largest = np.abs(wanted).max()
    half = families.make(kind, dtype="mixed_bfloat16")
    assert np.abs(_logits(half) - wanted).max() < 0.03 * largest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras names each layer that it leaves as it is
        model.quantize("int8")
    eight = _logits(model)
    assert 0 < np.abs(eight - wanted).max() < 0.06 * largest
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(_logits(loaded), eight, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="it is refused there")
@pytest.mark.parametrize("kind", ["mixed", "BEiT", "XCiT"])
def test_rematerialised_blocks_train_alike(kind):
    models = []
    for is_rematerialised in (False, True):
        model = families.make(kind)
        if is_rematerialised:
            rematerialise(model)
        _fit(model, epochs=1)
        models.append(model)
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["EVA-02", "mixed", "BEiT"])
def test_a_model_without_values_takes_those_of_a_file(tmp_path, kind):
    model = families.make(kind)
    model.save_weights(tmp_path / "model.weights.h5")
    model_type, arguments = families.KINDS[kind]
    empty = without_values(lambda: model_type(**arguments))
    shapes = [(weight.path.split("/", 1)[1], tuple(weight.shape)) for weight in empty.weights]
    assert shapes == [(w.path.split("/", 1)[1], tuple(w.shape)) for w in model.weights]
    again = model_type(**arguments)
    again.load_weights(tmp_path / "model.weights.h5")
    assert np.array_equal(_logits(again), _logits(model))
