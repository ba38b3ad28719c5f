"""What Keras leaves among the temporary files when it saves, and a failure comes in between."""

import errno
import os
import resource
import signal
import tempfile

import keras
import pytest

from kerasvit.models.writing import write_keras


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
