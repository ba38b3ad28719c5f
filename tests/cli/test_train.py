import json

import numpy as np
import pytest
from PIL import Image

from kerasvit.cli import main

RECIPE = """
[model]
name = "cait_nano_patch4_32"
[model.arguments]
hidden_dim = 16
num_layers = 1
num_class_layers = 1
num_heads = 2
mlp_dim = 16
[preprocessing]
image_size = [8, 8]
crop_fraction = 1.0
[schedule]
epochs = 2
batch_size = 4
[run]
tensorboard = false
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (9, 11, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "data" / split / name / f"{number}.png")
    return tmp_path / "data"


def _train(recipe, data, *options):
    return main(["train", str(recipe), "--data", str(data), *map(str, options)])


def test_train_prints_the_model_that_predict_takes(recipe, data, tmp_path, capsys):
    assert _train(recipe, data, "-o", tmp_path / "run") == 0
    out = capsys.readouterr()
    assert out.out.split()[-1] == str(tmp_path / "run" / "model.keras")
    assert "on 8 pictures" in out.err
    picture = str(data / "test" / "dog" / "0.png")
    assert main(["predict", picture, "-m", str(tmp_path / "run" / "model.keras")]) == 0
    assert "dog" in capsys.readouterr().out


def test_stop_and_resume_from_the_command_line(recipe, data, tmp_path, capsys):
    folder = tmp_path / "run"
    assert _train(recipe, data, "-o", folder, "--set", "run.max_steps=3") == 0
    assert "go on with --resume" in capsys.readouterr().err
    assert not (folder / "model.keras").exists()
    assert _train(recipe, data, "-o", folder) == 5
    assert "--resume" in capsys.readouterr().err
    assert _train(recipe, data, "-o", folder, "--resume") == 0
    assert (folder / "log.csv").read_text().count("\n") == 3
    assert json.loads((folder / "recipe.json").read_text())["data"]["path"] == str(data)


def test_broken_pictures_are_counted_at_the_end(recipe, data, tmp_path, capsys):
    (data / "train" / "cat" / "0.png").write_bytes(b"x")
    assert _train(recipe, data, "-o", tmp_path / "run") == 0
    assert "1 broken pictures were left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--set", "optimizer.learningrate=1"], 2, "Did you mean 'learning_rate'"),
        (["--set", "model.name=cait_nano_patch4_3"], 2, "Did you mean cait_nano_patch4_32"),
        (["--set", "model.arguments.depth=3"], 2, "depth"),
        (["--set", "data.train=nothing"], 3, "no folder 'nothing'"),
        (["--set", "schedule.batch_size=100"], 3, "smaller batch"),
        (["--resume"], 3, "no state to go on from"),
    ],
)
def test_mistakes_are_one_line(recipe, data, tmp_path, capsys, options, code, words):
    assert _train(recipe, data, "-o", tmp_path / "run", *options) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "kerasvit:" in line]
    assert words in line
    assert not (tmp_path / "run" / "model.keras").exists()


def test_freed_memory_is_kept_for_the_next_step(recipe, data, tmp_path, reuse_memory):
    assert _train(recipe, data, "-o", tmp_path / "run", "--resume") == 3
    reuse_memory.assert_called_once_with()


def test_recipe_without_data_says_what_is_missing(recipe, tmp_path, capsys):
    assert main(["train", str(recipe), "-o", str(tmp_path / "run")]) == 3
    assert "--data PATH" in capsys.readouterr().err
