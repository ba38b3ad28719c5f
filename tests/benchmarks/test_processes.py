"""Whole processes: what they print, how long they take, and the commands end to end."""

import json
import subprocess
import sys

import pytest

from benchmarks.harness.processes import Script, compare, lines, run
from benchmarks.harness.tables import chosen
from benchmarks.harness.workers import ROOT
from benchmarks.imports import read


def test_the_time_of_a_process_or_what_it_prints():
    seconds, memory = run(Script("sleep", ("-c", "import time; time.sleep(0.2)")))
    assert seconds >= 0.2
    assert memory > 2**20
    assert run(Script("print", ("-c", "print('noise'); print(1.5, 7)"), read=read)) == (1.5, 7)


def test_a_script_that_fails_is_left_out(capsys):
    scripts = [Script("good", ("-c", "")), Script("bad", ("-c", "raise SystemExit('broken')"))]
    assert {name: len(results) for name, results in compare(scripts, 2).items()} == {"good": 2}
    assert capsys.readouterr().err.count("broken") == 1


def test_lines_say_how_many_times_the_reference():
    found = {"a": [(1.0, 2**20), (2.0, 2**20)], "b": [(3.0, 2**21), (6.0, 2**21)]}
    first, second = lines(found, "a")
    assert "1.00 times a" in first
    assert "3.00 times a" in second
    assert "2 MiB" in second


def test_patterns_choose_contenders():
    assert chosen(["a-1", "b-1", "a-2"], ["a*", "b-1"]) == ["a-1", "b-1", "a-2"]
    with pytest.raises(SystemExit, match="no contender is called 'c'"):
        chosen(["a"], ["c"])


def test_quick_runs_end_to_end(tmp_path):
    output = tmp_path / "speed.json"
    command = ["--quick", "--contenders", "kerasvit-jax-cls", "keras-hub-jax", "--output", output]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(output.read_text())["cells"]
    rows = {entry["contender"]: entry for entry in cell["rows"]}
    measured = rows["kerasvit-jax-cls"]
    assert measured["scores"] == "2 of 2x3x1x17"
    assert measured["images_per_second"] > 0
    assert rows["keras-hub-jax"]["skipped"] or rows["keras-hub-jax"]["seconds"] > 0
    assert "kerasvit-jax-cls" in done.stdout
