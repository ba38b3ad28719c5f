"""Saves that are killed (row 16 of the fault table) or fail: what the disk holds then."""

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile

import keras
import pytest
from breadth import spread

from kerasvit.models.writing import write_keras

SCRIPT = """
import os, random, signal, sys, time, zipfile
import keras
import kerasvit

path, kills = sys.argv[1], int(sys.argv[2])
model = kerasvit.CaiT((16, 16, 3), 8, 3, 12, 2, 1, 3, 20)

def fill(value):
    for weight in model.weights:
        weight.assign(weight * 0 + value)

def write():
    for value in range(1, 10**6):
        fill(value)
        model.save(path)

fill(0)
start = time.perf_counter()
model.save(path)
duration = time.perf_counter() - start
random.seed(0)
for _ in range(kills):
    writer = os.fork()
    if writer == 0:
        write()
    # The writer writes without a rest; on a busy machine not for minutes.
    time.sleep(random.uniform(0, min(3 * duration, 2)))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    assert zipfile.ZipFile(path).testzip() is None
    values = {float(one) for w in keras.saving.load_model(path).get_weights() for one in w.flat}
    assert len(values) == 1, values
    print("complete", int(values.pop()))
"""


@pytest.mark.parametrize("kills", spread([8, 100], [8]))
def test_each_kill_leaves_a_complete_file(tmp_path, kills):
    """One process with everything imported forks the writers, so that this takes seconds."""
    path = tmp_path / "model.keras"
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), str(kills)],
        capture_output=True,
        text=True,
        # PyTorch alone has no threads of its own here that a fork would lose.
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    written = [int(line.split()[1]) for line in result.stdout.splitlines()]
    assert len(written) == kills
    # Some kills came after a new file was in place, or none of them would mean anything.
    assert len(set(written)) > 1
    left = [entry.name for entry in tmp_path.iterdir() if entry != path]
    assert all(name.startswith(".kerasvit-") for name in left)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(900)])


def test_a_save_leaves_nothing_among_temporary_files(scratch, model, tmp_path):
    path = tmp_path / "model.keras"
    write_keras(model, path)
    assert keras.saving.load_model(path).count_params() == model.count_params()
    assert not list(scratch.iterdir())


def test_a_save_without_room_leaves_nothing_among_temporary_files(scratch, model, tmp_path):
    """Keras left a folder of its own behind each save that failed."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            write_keras(model, tmp_path / "model.keras")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(scratch.iterdir())
