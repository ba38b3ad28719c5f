"""The command that runs the tests on every backend says so when one of them did not pass."""

import importlib.util
import pathlib

import pytest

PASSED = (0, {"passed": 2})


@pytest.fixture
def all_backends(monkeypatch):
    path = pathlib.Path(__file__).with_name("all_backends.py")
    spec = importlib.util.spec_from_file_location("all_backends", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.sys, "argv", ["all_backends.py"])
    return module


@pytest.mark.parametrize(
    ("torch", "code"),
    [
        (PASSED, 0),
        ((1, {"passed": 1, "failed": 1}), 1),
        ((-9, {}), 1),  # killed for memory
    ],
)
def test_one_backend_that_does_not_pass_fails_all(all_backends, monkeypatch, capsys, torch, code):
    results = {"jax": PASSED, "tensorflow": PASSED, "torch": torch}
    monkeypatch.setattr(all_backends, "run", lambda backend, arguments: results[backend])
    assert all_backends.main() == code
    assert ("torch: FAILED" in capsys.readouterr().out) == bool(code)


def test_a_killed_process_is_no_success(all_backends, monkeypatch):
    killed = [all_backends.sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    popen = all_backends.subprocess.Popen
    monkeypatch.setattr(
        all_backends.subprocess, "Popen", lambda command, **options: popen(killed, **options)
    )
    assert all_backends.run("torch", []) == (-9, {})
