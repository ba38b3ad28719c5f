import csv
import dataclasses
import json

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.training.data.in_memory import MemoryBatches
from kerasvit.training.data.recipe_data import RunData
from kerasvit.training.run import train as running
from kerasvit.training.run.train import train


def _weights(path):
    return kerasvit.from_pretrained(path).get_weights()


def _rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# In the middle of an epoch, at its end, and in another; the first on every backend.
@pytest.mark.parametrize("kill", [pytest.param(2, marks=pytest.mark.backend), 3, 7])
def test_run_that_was_killed_goes_on_as_if_it_had_not(tiny, tmp_path, kill):
    tables = {
        "optimizer": {"ema_momentum": 0.9, "clip_norm": 1.0},
        "augmentation": {"mixup": 0.8, "cutmix": 1.0, "erasing": 0.5},
    }
    whole = train(tiny(**tables), tmp_path / "whole")
    first = train(tiny(run={"max_steps": kill}, **tables), tmp_path / "parts")
    assert first.accuracy is None
    assert first.step == kill
    second = train(tiny(**tables), tmp_path / "parts", resume=True)
    assert second == running.Result(whole.accuracy, 6, tmp_path / "parts" / "model.keras", 9)
    for name in ("model.keras", "best.keras"):
        pairs = zip(*(_weights(tmp_path / part / name) for part in ("whole", "parts")), strict=True)
        assert all(np.array_equal(one, two) for one, two in pairs), name
    for one, two in zip(_rows(tmp_path / "whole"), _rows(tmp_path / "parts"), strict=True):
        one.pop("seconds"), two.pop("seconds")
        assert one == two


def test_model_says_how_it_was_made_and_returns_scores(tiny, tmp_path):
    result = train(tiny(about={"release": "tiny.coloured", "title": "Tiny"}), tmp_path / "run")
    model = kerasvit.from_pretrained(result.path)
    assert model.record["release"] == "tiny.coloured"
    assert model.record["class_names"] == ["blue", "green", "red"]
    assert model.record["test_accuracy"] == result.accuracy
    assert model.record["preprocessing"]["image_size"] == [8, 8]
    # No folder of the machine that it was trained on.
    assert "/" not in model.record["recipe"]["data"]["path"]
    _, sa_scores, ca_scores = model(np.zeros((1, 8, 8, 3), "float32"))
    assert len(sa_scores) == 2
    assert len(ca_scores) == 1


def test_colours_are_learned(tiny, tmp_path):
    recipe = tiny(
        schedule={"epochs": 12, "warmup_epochs": 1},
        optimizer={"learning_rate": 0.02},
        model={"arguments": {**tiny().model.arguments, "drop_path_rate": 0.0}},
    )
    assert train(recipe, tmp_path / "run").accuracy == 1.0


def test_stages_train_at_growing_sizes(tiny, tmp_path):
    train(tiny(schedule={"stages": [[4, 1], [8, 2]], "epochs": 3}), tmp_path / "run")
    assert [row["image_size"] for row in _rows(tmp_path / "run")] == ["4", "8", "8"]


def test_averages_are_what_is_evaluated_and_saved(tiny, tmp_path):
    # With a momentum of nearly 1 the average stays where the weights were after one step.
    result = train(tiny(optimizer={"ema_momentum": 1 - 1e-9}), tmp_path / "run")
    train(tiny(run={"max_steps": 1}), tmp_path / "one")
    with np.load(tmp_path / "one" / "state.npz") as state:
        paths = json.loads(state["meta"].tobytes())["paths"]["model"]
        after_one = [state[f"model.{n}"] for n, path in enumerate(paths) if "seed" not in path]
    for kept, expected in zip(_weights(result.path), after_one, strict=True):
        np.testing.assert_allclose(kept, expected, atol=1e-6)


def test_nan_stops_and_keeps_the_last_good_state(tiny, tmp_path, monkeypatch):
    recipe, folder = tiny(), tmp_path / "run"
    batch = MemoryBatches.batch

    def poisoned(self, step):
        images, labels = batch(self, step)
        return (images * np.float32(np.nan) if step == 4 else images), labels

    monkeypatch.setattr(MemoryBatches, "batch", poisoned)
    with pytest.raises(UsageError, match=r"must stay finite.*state\.npz"):
        train(recipe, folder)
    with np.load(folder / "state.npz") as state:
        assert json.loads(state["meta"].tobytes())["step"] == 3
        assert all(np.isfinite(state[name]).all() for name in state.files)
    assert not (folder / "model.keras").exists()
    monkeypatch.undo()
    assert train(recipe, folder, resume=True).step == 9


def test_earlier_run_is_kept_unless_asked(tiny, tmp_path):
    folder = tmp_path / "run"
    train(tiny(run={"max_steps": 1}), folder)
    before = (folder / "state.npz").read_bytes()
    with pytest.raises(OutputError, match="--resume"):
        train(tiny(), folder)
    with pytest.raises(UsageError, match=r"optimizer\.learning_rate"):
        train(tiny(optimizer={"learning_rate": 0.5}), folder, resume=True)
    assert (folder / "state.npz").read_bytes() == before
    assert train(tiny(run={"max_steps": 2}), folder, overwrite=True).step == 2


def test_full_disk_ends_the_run_with_one_line_and_the_old_state(tiny, tmp_path, monkeypatch):
    from kerasvit.training.run import checkpoints

    folder = tmp_path / "run"
    train(tiny(run={"max_steps": 2}), folder)
    before = (folder / "state.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.np, "savez", full)
    with pytest.raises(OutputError, match="No space left"):
        train(tiny(), folder, resume=True)
    assert (folder / "state.npz").read_bytes() == before


def test_attention_is_drawn_every_few_epochs(tiny, tmp_path):
    train(tiny(attention={"every": 2, "pictures": 2}), tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run" / "attention").iterdir())
    assert names == ["epoch_0002.npz", "epoch_0002.png"]


@pytest.mark.parametrize("kind", ["hard", "soft", "features"])
def test_teacher_takes_part(tiny, tmp_path, kind):
    teacher = train(tiny(schedule={"epochs": 1, "warmup_epochs": 0}), tmp_path / "teacher").path
    recipe = tiny(
        schedule={"epochs": 1, "warmup_epochs": 0},
        augmentation={"padding": 4},
        distillation={"kind": kind, "teacher": str(teacher)},
    )
    result = train(recipe, tmp_path / "run")
    assert kerasvit.from_pretrained(result.path).count_params() == (
        kerasvit.from_pretrained(teacher).count_params()
    )
    (row,) = _rows(tmp_path / "run")
    assert float(row["teacher_loss"]) > 0
    assert (tmp_path / "run" / "teacher.npy").exists() == (kind == "features")


def test_a_teachers_own_logits_share_in_the_labels_and_are_computed_once(tiny, tmp_path):
    path = train(tiny(schedule={"epochs": 1, "warmup_epochs": 0}), tmp_path / "teacher").path
    recipe = tiny(
        schedule={"epochs": 1, "warmup_epochs": 0},
        distillation={"kind": "features", "teacher": str(path), "logits_share": 0.5},
    )
    train(recipe, tmp_path / "run")
    logits = tmp_path / "run" / "teacher_logits.npy"
    pixels = RunData(recipe.data, recipe.preprocessing).decoded().images
    inputs = np.stack([recipe.preprocessing.evaluate(one).pixels for one in pixels])
    teacher = kerasvit.from_pretrained(path)
    views = [np.asarray(teacher.predict(one, verbose=0)[0]) for one in (inputs, inputs[:, :, ::-1])]
    np.testing.assert_allclose(np.load(logits), (views[0] + views[1]) / 2, atol=1e-5)
    np.save(logits, np.zeros((24, 2)))
    with pytest.raises(InputError, match="a teacher's logits"):
        train(recipe, tmp_path / "run", resume=True)


def test_convolutional_teacher_is_trained_once_and_then_learned_from(tiny, tmp_path):
    recipe = tiny(
        schedule={"epochs": 1, "warmup_epochs": 0},
        distillation={"kind": "features", "teacher": "convolutional", "logits_share": 0.5},
        teacher={"widths": [2, 3, 4, 5], "epochs": 1},
    )
    first = train(recipe, tmp_path / "run")
    tokens = np.load(tmp_path / "run" / "teacher.npy")
    assert tokens.shape == (24, 2, 2, 2, 4 + 5)
    assert tokens.astype("float32").std() == pytest.approx(1, abs=0.1)
    assert np.load(tmp_path / "run" / "teacher_logits.npy").shape == (24, 3)
    (row,) = _rows(tmp_path / "run")
    assert float(row["teacher_loss"]) > 0
    weights = _weights(first.path)
    made = (tmp_path / "run" / "teacher.keras").stat().st_mtime_ns
    for one, other in zip(
        weights, _weights(train(recipe, tmp_path / "run", overwrite=True).path), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "run" / "teacher.keras").stat().st_mtime_ns == made
    other = dataclasses.replace(
        recipe, data=dataclasses.replace(recipe.data, limit=16, validation_limit=2)
    )
    train(other, tmp_path / "run", overwrite=True)
    assert len(np.load(tmp_path / "run" / "teacher.npy")) == 16


def test_precision_of_the_run_leaves_float32_in_the_file(tiny, tmp_path):
    recipe = tiny(run={"precision": "mixed_bfloat16"}, schedule={"epochs": 1, "warmup_epochs": 0})
    model = kerasvit.from_pretrained(train(recipe, tmp_path / "run").path)
    assert model.dtype_policy.name == "float32"
    assert keras.backend.standardize_dtype(model(np.zeros((1, 8, 8, 3)))[0].dtype) == "float32"


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_that_fails_before_its_first_state_leaves_the_earlier_one(
    tiny, tmp_path, monkeypatch
):
    """Row 1 of the faults: an overwriting run deleted all four files first."""
    folder = tmp_path / "run"
    train(tiny(), folder)
    before = _contents(folder)
    assert {"state.npz", "best.keras", "model.keras", "log.csv", "recipe.json"} <= set(before)
    with monkeypatch.context() as patch:
        patch.setattr("kerasvit.training.run.train.fit_steps", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tiny(run={"seed": 5}), folder, overwrite=True)
    assert _contents(folder) == before
    result = train(tiny(run={"seed": 5}), folder, overwrite=True)
    after = _contents(folder)
    assert after.keys() == before.keys()
    assert json.loads(after["recipe.json"])["run"]["seed"] == 5
    assert result.path.read_bytes() == after["model.keras"] != before["model.keras"]


def test_a_run_without_a_best_model_leaves_none_of_an_earlier_one(tiny, tmp_path):
    folder = tmp_path / "run"
    train(tiny(), folder)
    assert (folder / "best.keras").exists()
    train(tiny(run={"evaluate_every": 100}), folder, overwrite=True)
    assert not (folder / "best.keras").exists()
