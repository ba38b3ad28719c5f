"""The models that come with the package are as good as their records say."""

import re

import numpy as np
import pytest

import kerasvit
from kerasvit.images.records import recorded_preprocessing
from kerasvit.releases import find_release, list_releases
from kerasvit.training.accuracy import evaluate_accuracy
from kerasvit.training.data.class_labels import scan_for
from kerasvit.training.data.subsets import first_of_each_class

SHIPPED = [release.name for release in list_releases() if release.embedded]
EACH, LARGEST = 50, 5_000_000


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_is_small(name):
    import importlib.resources

    file = importlib.resources.files("kerasvit") / "pretrained" / f"{name}.keras"
    assert len(file.read_bytes()) <= LARGEST


@pytest.mark.data
@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_has_the_accuracy_of_its_note(data_dir, name):
    model = kerasvit.from_pretrained(name, attention="none")
    folder = scan_for(model, data_dir / "cifar10-jpeg.zip", "test")
    few = first_of_each_class(folder, EACH)
    preprocessing = recorded_preprocessing(model.record, name)
    report = evaluate_accuracy(model, preprocessing, few, batch_size=100)

    note = find_release(name).note
    noted = float(re.match(r"([\d.]+) % test accuracy", note)[1]) / 100
    error = np.sqrt(noted * (1 - noted) / len(few))
    assert report["top1"] == pytest.approx(noted, abs=3 * error)
    assert report["top1"] == pytest.approx(model.record["test_accuracy"], abs=3 * error)
