"""What docs/how_to/distribution.md says of TensorFlow and PyTorch, done on CPUs."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("other_distributions.py")


def _run(path, backend, *variants):
    """Run the script once, or once for each variant at the same time."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, path, backend, *variant],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for variant in variants or [()]
    ]
    try:
        printed = [process.communicate(timeout=500)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(printed)


def _assert_same(path):
    with np.load(path) as stored:
        names = [name.partition("/")[2] for name in stored if name.startswith("alone/")]
        assert len(names) > 20
        for name in names:
            np.testing.assert_allclose(
                stored[f"together/{name}"], stored[f"alone/{name}"], rtol=0, atol=1e-4
            )


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own way")
def test_two_mirrored_devices_train_as_one_does_on_tensorflow(tmp_path):
    path = tmp_path / "weights.npz"
    _run(path, "tensorflow")
    _assert_same(path)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch's own way")
def test_two_processes_train_as_one_does_on_pytorch(tmp_path):
    path, rendezvous = tmp_path / "weights.npz", tmp_path / "rendezvous"
    _run(path, "torch", *([str(rendezvous), str(number)] for number in range(2)))
    _assert_same(path)
