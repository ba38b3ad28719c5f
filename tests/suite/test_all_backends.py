"""The command that runs the tests on every backend runs each of them once, and hides no failure."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSED = (0, {"passed": 2})
NOTHING = (5, {})


@pytest.fixture
def all_backends(monkeypatch, tmp_path):
    path = ROOT / "tests" / "all_backends.py"
    spec = importlib.util.spec_from_file_location("all_backends", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "all_backends", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("KERASVIT_TESTS_CACHE", str(tmp_path / "cache"))
    return module


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (PASSED, 0),
        (NOTHING, 0),  # `-k` chose tests of other rooms
        ((1, {"passed": 1, "failed": 1}), 1),
        ((-9, {}), 1),  # killed for memory
        ((2, {}), 1),  # a file that cannot be imported
    ],
)
def test_one_shard_that_does_not_pass_fails_all(all_backends, monkeypatch, capsys, last, code):
    final = str(all_backends.shards([])[-1])
    monkeypatch.setattr(
        all_backends, "run", lambda shard, *_: last if str(shard) == final else PASSED
    )
    assert all_backends.main([]) == code
    lines = capsys.readouterr().out.splitlines()
    assert (f"{final}: FAILED" in "\n".join(lines)) == bool(code)
    passed = 2 * (len(all_backends.shards([])) - 1) + last[1].get("passed", 0)
    assert lines[-1] == f"{passed} passed, {last[1].get('failed', 0)} failed, 0 skipped"


def test_a_choice_of_no_test_at_all_is_no_success(all_backends, monkeypatch):
    monkeypatch.setattr(all_backends, "run", lambda *_: NOTHING)
    assert all_backends.main(["-k", "nothing"]) == 1


def test_a_killed_process_is_no_success(all_backends, monkeypatch):
    killed = [all_backends.sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    popen = all_backends.subprocess.Popen
    monkeypatch.setattr(
        all_backends.subprocess, "Popen", lambda command, **options: popen(killed, **options)
    )
    assert all_backends.run(all_backends.Shard("torch", ()), []) == (-9, {})


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_each_file_of_tests_is_in_one_shard_of_each_backend(all_backends, backend):
    paths = [p for s in all_backends.shards([]) if s.backend == backend for p in s.paths]
    for file in (ROOT / "tests").rglob("test_*.py"):
        name = file.relative_to(ROOT).as_posix()
        assert sum(name == path or name.startswith(f"{path}/") for path in paths) == 1, name


def test_paths_go_to_every_backend_and_options_to_pytest(all_backends, monkeypatch):
    seen = []
    monkeypatch.setattr(
        all_backends, "run", lambda shard, options, _: seen.append((shard, options)) or PASSED
    )
    file = "tests/files/test_files.py::test_x"
    assert all_backends.main(["-k", "mean", file, "--durations=5"]) == 0
    assert {shard.backend for shard, _ in seen} == {"tensorflow", "jax", "torch"}
    for shard, options in seen:
        assert shard.paths == (file,)
        assert options == ["-k", "mean", "--durations=5"]


def test_flags_of_xla_are_added_to_ours(all_backends, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    for backend, count in (("tensorflow", 3), ("jax", 4)):
        flags = all_backends.environment_of(backend, None)["XLA_FLAGS"].split()
        assert flags[-1] == "--xla_cpu_max_isa=AVX"
        assert len(flags) == count


def test_a_flag_that_jax_does_not_know_is_left_out(all_backends, monkeypatch):
    """It would end every process."""
    monkeypatch.setattr(all_backends, "QUICK_ON_JAX", "--xla_no_such_flag=1")
    flags = all_backends.environment_of("jax", None)["XLA_FLAGS"]
    assert "no_such_flag" not in flags
    assert all_backends.QUICK_COMPILATION in flags


def test_compiled_programs_are_kept_unless_that_cannot_or_shall_not_be(
    all_backends, monkeypatch, tmp_path, capsys
):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)  # of the run that this is in
    folder = all_backends.cache_folder()
    assert folder.parent == tmp_path / "cache"
    variables = all_backends.environment_of("jax", folder)
    assert variables["JAX_COMPILATION_CACHE_DIR"] == str(folder)
    (tmp_path / "file").touch()
    for place in ("", str(tmp_path / "file")):
        monkeypatch.setenv("KERASVIT_TESTS_CACHE", place)
        assert all_backends.cache_folder() is None
        assert bool(capsys.readouterr().out) == bool(place)
    assert "JAX_COMPILATION_CACHE_DIR" not in all_backends.environment_of("jax", None)


COMPILE = """
import warnings
import jax, numpy as np
with warnings.catch_warnings(record=True) as caught:
    print(float(jax.jit(lambda x: (x * 2).sum())(np.ones(3, "float32"))))
"""


def test_a_damaged_cache_changes_nothing_but_the_time(all_backends):
    def run():
        result = subprocess.run(
            [sys.executable, "-c", COMPILE],
            env=all_backends.environment_of("jax", all_backends.cache_folder()),
            capture_output=True,
            text=True,
        )
        assert result.stdout == "6.0\n", result.stderr

    run()
    entries = [path for path in all_backends.cache_folder().iterdir() if path.is_file()]
    assert entries
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:20])
    run()


MIXED = """
import sys, types, importlib.machinery
class Elsewhere:
    def find_spec(name, path=None, target=None):
        if name == "kerasvit.conversion":
            return importlib.machinery.ModuleSpec(name, None, origin="/elsewhere/__init__.py")
sys.meta_path.insert(0, Elsewhere)
import pytest
sys.exit(pytest.main(["tests/files/test_files.py", "--collect-only"]))
"""


def test_a_run_of_two_trees_is_refused_in_one_line():
    result = subprocess.run(
        [sys.executable, "-c", MIXED], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = (result.stdout + result.stderr).strip().splitlines()
    assert "kerasvit.conversion" in line
    assert "Received: /elsewhere" in line
    assert "pip install -e" in line
