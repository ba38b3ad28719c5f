"""The script that makes the tutorials' pictures."""

import importlib.util
import pathlib

import numpy as np
import pytest
from PIL import Image

import kerasvit

PATH = pathlib.Path(__file__).parents[2] / "examples" / "seed_pictures.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("seed_pictures", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    return str(tmp_path / "photograph.png")


def test_a_cait_shows_all_four(script, photograph, tmp_path):
    script.main([photograph, "-o", str(tmp_path / "out")])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        f"{name}.png"
        for name in ("dino_heads", "layers_by_heads", "cait_figure_6", "cait_figure_7")
    }
    for name in names:
        with Image.open(tmp_path / "out" / name) as picture:
            assert np.asarray(picture).std() > 10


def test_only_classes_above_a_tenth_are_named(script):
    model = kerasvit.from_pretrained()
    logits = np.log(np.array([0.02, 0.6, 0.05, 0.2, 0.01, 0.02, 0.02, 0.02, 0.03, 0.03]))
    assert script.likely_classes(model, logits) == ["automobile 60%", "cat 20%"]
