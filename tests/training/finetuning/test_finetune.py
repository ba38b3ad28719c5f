import errno
import unittest.mock

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.training.accuracy import evaluate_accuracy
from kerasvit.training.data.features import preprocessing_of
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.finetuning.finetune import FineTuning, finetune

SHORT = {"epochs": 2, "batch_size": 8}


@pytest.fixture(scope="module")
def base(tiny_arguments, preprocessing_record):
    model = kerasvit.CaiT(
        **tiny_arguments,
        num_class_layers=1,
        num_classes=5,
        record={"preprocessing": preprocessing_record(8, 8), "release": "tiny.test"},
    )
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    return model


@pytest.fixture
def train(coloured):
    return PictureFolder.scan(coloured, "train")


@pytest.fixture
def test(coloured):
    return PictureFolder.scan(coloured, "test")


def _values(model):
    return [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]


def _backbone_changes(model, base):
    pairs = zip(_values(model)[:-2], _values(base)[:-2], strict=True)
    return [np.abs(new - old).max() > 1e-7 for new, old in pairs]


@pytest.mark.backend
def test_a_frozen_model_learns_the_colours_and_keeps_its_backbone(base, train, test, tmp_path):
    before = _values(base)
    result = finetune(
        base, train, FineTuning("frozen"), validation=test, output=tmp_path / "out.keras"
    )
    assert result.accuracy == 1.0
    loaded = kerasvit.from_pretrained(tmp_path / "out.keras")
    assert not any(_backbone_changes(loaded, base))
    report = evaluate_accuracy(loaded, preprocessing_of(loaded), test)
    assert report["top1"] == result.accuracy
    assert loaded.record["class_names"] == ["blue", "green", "red"]
    assert loaded.record["base"]["release"] == "tiny.test"
    assert loaded.record["finetuning"]["pictures"] == 24
    for value, old in zip(_values(base), before, strict=True):
        np.testing.assert_array_equal(value, old)


@pytest.mark.backend
def test_all_weights_learn_and_the_file_holds_the_best_epoch(base, train, test, tmp_path):
    output = tmp_path / "out.keras"
    settings = FineTuning(**SHORT, learning_rate=1e-2, layer_decay=0.5)
    lines = []
    result = finetune(base, train, settings, validation=test, output=output, report=lines.append)
    assert [figures["epoch"] for figures in result.history] == [0, 1, 2]
    assert len(lines) == 3
    best = max(figures["val_accuracy"] for figures in result.history)
    assert result.accuracy == best
    loaded = kerasvit.from_pretrained(output)
    assert evaluate_accuracy(loaded, preprocessing_of(loaded), test)["top1"] == best
    for ours, theirs in zip(_values(result.model), _values(loaded), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.backend
def test_lora_learns_and_its_file_is_a_plain_model(base, train, tmp_path):
    # Matrices drawn at random learned too little in two epochs in one of many runs.
    keras.utils.set_random_seed(5)
    settings = FineTuning("lora", lora_rank=2, epochs=4, batch_size=8, learning_rate=1e-2)
    result = finetune(base, train, settings, output=tmp_path / "out.keras")
    loaded = kerasvit.from_pretrained(tmp_path / "out.keras")
    assert result.accuracy is None
    assert result.history[-1]["loss"] < result.history[1]["loss"], result.history
    changed = {
        weight.path.split("/")[-2]
        for weight, is_new in zip(loaded.weights, _backbone_changes(loaded, base), strict=False)
        if is_new
    }
    dense = {"qkv", "query", "key", "value", "projection", "dense_1", "dense_2"}
    assert changed <= dense
    assert {"qkv", "dense_2"} <= changed
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    found = [np.asarray(model.predict_on_batch(images)[0]) for model in (result.model, loaded)]
    np.testing.assert_allclose(*found, atol=1e-4)


def test_a_loss_that_is_not_finite_keeps_the_last_good_model(base, train, test, tmp_path):
    output = tmp_path / "out.keras"
    settings = FineTuning(**SHORT, learning_rate=1e30)
    with pytest.raises(UsageError, match="holds the best model so far"):
        finetune(base, train, settings, validation=test, output=output)
    loaded = kerasvit.from_pretrained(output)
    assert evaluate_accuracy(loaded, preprocessing_of(loaded), test)["top1"] == 1.0
    assert loaded.record["finetuning"]["figures"]["epoch"] == 0


def test_a_full_disk_is_named_and_leaves_the_old_file(base, train, tmp_path):
    output = tmp_path / "out.keras"
    output.write_bytes(b"the old one")
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        unittest.mock.patch("keras.Model.save", side_effect=full),
        pytest.raises(OutputError, match="No space left"),
    ):
        finetune(base, train, FineTuning("frozen"), output=output, overwrite=True)
    assert output.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["out.keras"]
    with pytest.raises(OutputError, match="exists and is kept"):
        finetune(base, train, FineTuning("frozen"), output=output)


def test_held_out_pictures_must_have_the_same_classes(base, train, test):
    test.class_names = ("a", "b", "c")
    with pytest.raises(InputError, match="classes of the others"):
        finetune(base, train, validation=test)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "half"},
        {"lora_rank": 0},
        {"epochs": 0},
        {"batch_size": 0},
        {"layer_decay": 1.1},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"label_smoothing": 1.0},
        {"smallest_crop": 0.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings):
    with pytest.raises(UsageError, match=f"{next(iter(settings))} .*Received: "):
        FineTuning(**settings)
