"""Runs that are killed while they replace an earlier one, file by file."""

import csv
import json
import os

import numpy as np
import pytest
from breadth import spread

import kerasvit
from kerasvit.errors import InputError, UsageError
from kerasvit.training.run.train import train


def _weights(path):
    return kerasvit.from_pretrained(path).get_weights()


def _rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class Killed(BaseException):
    """Ends a run as a kill does."""


FILES = ["state.npz", "best.keras", "log.csv", "recipe.json"]


@pytest.mark.parametrize("name", spread(FILES, FILES[:2]))
def test_a_kill_at_any_file_of_the_first_epoch_loses_neither_run(tiny, tmp_path, monkeypatch, name):
    """Found by killing: the old log and best model went before the new run had a state."""
    folder, old, new = tmp_path / "run", tiny(), tiny(run={"seed": 5})
    whole = train(new, tmp_path / "whole")
    train(old, folder)
    before = _contents(folder)
    place = "kerasvit.files.os.replace"
    replace = os.replace

    def kill(temporary, path):
        if path.name == name:
            raise Killed
        replace(temporary, path)

    with monkeypatch.context() as patch:
        patch.setattr(place, kill)
        with pytest.raises(Killed):
            train(new, folder, overwrite=True)
    with np.load(folder / "state.npz") as state:
        is_new = json.loads(state["meta"].tobytes())["recipe"]["run"]["seed"] == 5
    assert is_new != (name == "state.npz")
    if not is_new:
        assert _contents(folder) == before
        return
    assert train(new, folder, resume=True).accuracy == whole.accuracy
    for model in ("model.keras", "best.keras"):
        pairs = zip(*map(_weights, (tmp_path / "whole" / model, folder / model)), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs), model
    assert [row["epoch"] for row in _rows(folder)] == ["1", "2", "3"]
    for one, two in zip(_rows(tmp_path / "whole"), _rows(folder), strict=True):
        assert {**one, "seconds": ""} == {**two, "seconds": ""}
    assert json.loads((folder / "recipe.json").read_text())["run"]["seed"] == 5


def test_a_damaged_log_is_named(tiny, tmp_path):
    folder = tmp_path / "run"
    train(tiny(run={"max_steps": 3}), folder)
    with np.load(folder / "state.npz") as state:
        arrays = {name: state[name] for name in state.files}
    meta = json.loads(arrays["meta"].tobytes())
    assert [row["epoch"] for row in meta.pop("log")] == [1]
    # As earlier versions wrote it.
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(folder / "state.npz", **arrays)
    (folder / "log.csv").write_bytes(b"\xff\x00no log\nat all\n")
    with pytest.raises(InputError, match=r"log\.csv.*Remove the file"):
        train(tiny(), folder, resume=True)
    (folder / "log.csv").unlink()
    train(tiny(), folder, resume=True)
    assert [row["epoch"] for row in _rows(folder)] == ["2", "3"]


def test_a_run_goes_on_or_starts_anew(tiny, tmp_path):
    train(tiny(run={"max_steps": 1}), tmp_path / "run")
    before = _contents(tmp_path / "run")
    with pytest.raises(UsageError, match="Choose one"):
        train(tiny(), tmp_path / "run", resume=True, overwrite=True)
    assert _contents(tmp_path / "run") == before
