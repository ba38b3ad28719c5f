import dataclasses

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError
from kerasvit.images import Preprocessing
from kerasvit.training.accuracy import evaluate_accuracy, evaluate_neighbours
from kerasvit.training.data.features import run_pictures
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.neighbours import neighbour_votes

PREPROCESSING = Preprocessing((8, 8), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    arguments = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "mlp_dim": 16}
    model = kerasvit.VisionTransformer(
        image_shape=(8, 8, 3), patch_size=4, num_classes=7, **arguments
    )
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.5, weight.shape))
    return model


@pytest.fixture
def folder(coloured):
    """Pictures of seven classes that they do not show: the model is right by chance."""
    found = PictureFolder.scan(coloured, "train")
    return dataclasses.replace(found, labels=np.arange(24) % 7, class_names=tuple("abcdefg"))


@pytest.mark.backend
def test_shares_are_those_of_counting(model, folder):
    report = evaluate_accuracy(model, PREPROCESSING, folder, batch_size=5)
    pixels = [PREPROCESSING.evaluate(folder.read(index)).pixels for index in range(24)]
    logits = np.asarray(model.with_attention("none").predict_on_batch(np.stack(pixels))[0])
    first = [int(np.argmax(row)) == label for row, label in zip(logits, folder.labels, strict=True)]
    five = [label in np.argsort(row)[-5:] for row, label in zip(logits, folder.labels, strict=True)]
    assert report["n"] == 24
    assert report["top1"] == pytest.approx(np.mean(first), abs=1e-5)
    assert report["top5"] == pytest.approx(np.mean(five), abs=1e-5)
    assert 0 < report["top5"] < 1
    assert list(report["classes"]) == list("abcdefg")
    right = sum(one["n"] * one["top1"] for one in report["classes"].values())
    assert right == pytest.approx(sum(first), abs=1e-3)
    assert report["broken"] == []


def test_a_broken_picture_is_left_out_of_the_count(model, folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    damaged = dataclasses.replace(folder, paths=[tmp_path / "broken.png", *folder.paths[1:]])
    report = evaluate_accuracy(model, PREPROCESSING, damaged)
    assert report["n"] == 23
    assert report["classes"]["a"]["n"] == 3
    ((path, reason),) = report["broken"]
    assert path == str(tmp_path / "broken.png")
    assert path in reason


def test_neighbours_are_those_of_the_features(model, coloured):
    train = PictureFolder.scan(coloured, "train")
    test = PictureFolder.scan(coloured, "test")
    report = evaluate_neighbours(model, PREPROCESSING, test, train, k=5)
    view = model.headless()
    features = [run_pictures(view, PREPROCESSING, part)[0] for part in (test, train)]
    votes = neighbour_votes(*features, train.labels, 3, k=5)
    assert report["top1"] == pytest.approx(np.mean(votes.argmax(1) == test.labels), abs=1e-5)
    assert report["top1"] > 0.5
    assert report["neighbours"] == {"k": 5, "temperature": 0.07, "n": 24, "broken": []}
    assert "top5" not in report


def test_other_classes_and_outputs_that_are_no_numbers_are_refused(model, folder, coloured):
    train = PictureFolder.scan(coloured, "train")
    with pytest.raises(InputError, match="classes of the others"):
        evaluate_neighbours(model, PREPROCESSING, folder, train)
    spoilt = model.from_config(model.get_config())
    spoilt.head.bias.assign(np.full(7, np.nan, "float32"))
    with pytest.raises(InputError, match="must be finite"):
        evaluate_accuracy(spoilt, PREPROCESSING, folder)
