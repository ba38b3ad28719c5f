"""A state that an earlier version wrote is still what a run goes on from.

`tests/golden/run_state.npz` was written by commit 9123adc on PyTorch: five steps of nine of the
recipe below.
"""

import json
import pathlib

import keras
import numpy as np
import pytest

from kerasvit.training.run.checkpoints import read_meta
from kerasvit.training.run.train import train

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "run_state.npz"
OPTIMIZER = {"ema_momentum": 0.9, "clip_norm": 1.0}


@pytest.fixture
def old_run(tmp_path, coloured):
    """A run's folder as the old version left it, but for where its pictures lie now."""
    with np.load(GOLDEN) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays["meta"].tobytes())
    meta["recipe"]["data"]["path"] = str(coloured)
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    folder = tmp_path / "run"
    folder.mkdir()
    np.savez(folder / "state.npz", **arrays)
    return folder


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="its random states are PyTorch's")
def test_a_run_goes_on_from_a_state_of_an_earlier_version(old_run, tiny):
    assert read_meta(old_run / "state.npz")["step"] == 5
    result = train(tiny(optimizer=OPTIMIZER), old_run, resume=True)
    assert result.step == 9
    assert result.accuracy is not None
    assert read_meta(old_run / "state.npz")["step"] == 9
