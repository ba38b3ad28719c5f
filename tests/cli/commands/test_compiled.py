"""Compiled programs outlive the process that ended well, and no other."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from kerasvit.cli import compiled

# What JAX does, as far as files go: a program is written into the folder that the variable names.
CHILD = """
import os, pathlib, signal, sys
sys.argv[0] = "kerasvit"  # as the command: JAX is imported later
from kerasvit.cli.compiled import keep_compiled
keep_compiled()
folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
if folder is None:
    sys.exit("no folder")
print(sorted(path.name for path in pathlib.Path(folder).iterdir()))
pathlib.Path(folder, sys.argv[1]).write_bytes(b"program")
if sys.argv[2:]:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(cache, *arguments, code=CHILD, **variables):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JAX_")},
        "KERASVIT_CACHE": str(cache),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True
    )


def test_the_next_process_finds_what_one_added(tmp_path):
    assert run(tmp_path, "first").stdout == "[]\n"
    assert run(tmp_path, "second").stdout == "['first']\n"
    assert run(tmp_path, "third").stdout == "['first', 'second']\n"


COMPILES = """
import sys
sys.argv[0] = "kerasvit"
from kerasvit.cli.compiled import keep_compiled
keep_compiled()
import jax
from jax import monitoring
events = []
monitoring.register_event_listener(lambda name, **_: events.append(name.rpartition("/")[2]))
jax.jit(lambda x: jax.lax.fori_loop(0, 9, lambda _, x: x @ x, x))(jax.numpy.eye(3))
print(events.count("cache_hits") > 0)
"""


def test_jax_takes_a_program_from_another_process(tmp_path):
    pytest.importorskip("jax")
    variables = {"KERAS_BACKEND": "jax", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    hits = [run(tmp_path, code=COMPILES, **variables).stdout for _ in range(2)]
    assert hits == ["False\n", "True\n"]


def test_what_a_killed_process_wrote_is_gone(tmp_path):
    assert run(tmp_path, "whole").returncode == 0
    assert run(tmp_path, "half", "kill").returncode == -signal.SIGKILL
    assert run(tmp_path, "next").stdout == "['whole']\n"
    names = [path.name for path in pathlib.Path(tmp_path).rglob("*") if path.is_file()]
    assert sorted(names) == ["next", "whole"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs permissions of POSIX")
def test_a_folder_that_others_can_write_to_is_left_alone(tmp_path):
    run(tmp_path, "program")
    next((tmp_path / "programs").iterdir()).chmod(0o777)
    assert run(tmp_path, "other").stderr == "no folder\n"


def test_jaxs_own_variables_win(tmp_path):
    assert run(tmp_path, "p", JAX_ENABLE_COMPILATION_CACHE="false").stderr == "no folder\n"
    own = tmp_path / "own"
    own.mkdir()
    run(tmp_path, "program", JAX_COMPILATION_CACHE_DIR=str(own))
    assert (own / "program").exists()
    assert not (tmp_path / "programs").exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    assert run(tmp_path / "file", "program").stderr == "no folder\n"


def test_the_oldest_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "MOST_BYTES", 10)
    for age, name in enumerate(["new", "old", "older"]):
        (tmp_path / name).write_bytes(b"12345")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    compiled._make_room(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
