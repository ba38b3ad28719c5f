"""Who runs when, and in whose company."""

import io
import json

import numpy as np
import pytest

from benchmarks.contenders import ENTRIES, Task
from benchmarks.harness import worker, workers
from benchmarks.harness.rounds import Effort, calls_a_turn, groups, play

NAMES = ["timm-fused", "onnxruntime", "kerasvit-jax-full", "kerasvit-jax-cls", "kerasvit-jax-none"]


class FakeWorker:
    """Answers as a worker does, without a process."""

    alive = 0
    most_alive = 0
    log = ()

    def __init__(self, task):
        kind = type(self)
        kind.alive += 1
        kind.most_alive = max(kind.most_alive, kind.alive)
        self.task = task
        self.facts = {"first_call": 1.0, "again": 0.1, "peak": 10, "added": 5, "images": 1}
        if task.contender == "onnxruntime":
            self.facts = {"skipped": "not here"}

    def run(self, calls):
        type(self).log += (self.task.contender,)
        self.facts["peak"] += 1
        return [0.1] * calls, 0.2

    def stop(self):
        type(self).alive -= 1


@pytest.fixture
def fake(monkeypatch):
    kind = type("Fresh", (FakeWorker,), {})
    monkeypatch.setattr(
        "benchmarks.harness.rounds.Pool", lambda resident: workers.Pool(resident, kind)
    )
    return kind


def tasks(names):
    return [Task(name, "model", 1, 32, 1) for name in names]


@pytest.mark.parametrize("resident", range(2, 6))
def test_groups_fit_repeat_the_references_and_leave_nobody_out(resident):
    found = groups(NAMES, resident)
    assert all(len(group) <= resident for group in found)
    assert {name for group in found for name in group} == set(NAMES)
    assert all("timm-fused" in group for group in found)
    others = [name for group in found for name in group if name.startswith("kerasvit")]
    assert len(others) == len(set(others))


def test_all_that_fit_run_in_one_group():
    assert groups(NAMES, 5) == [NAMES]
    assert groups(NAMES, 1) == [NAMES]


@pytest.mark.parametrize("resident", [1, 2, 3, 9])
def test_rounds_are_complete_and_memory_is_respected(fake, resident):
    turns, facts = play(tasks(NAMES), Effort(3, 0.2, resident))
    assert fake.alive == 0
    assert fake.most_alive <= resident
    for name in NAMES[2:]:
        rounds = [turn.round for turn in turns if turn.contender == name]
        assert sorted(rounds) == [0, 1, 2]
    assert facts["onnxruntime"]["skipped"] == "not here"
    assert not any(turn.contender == "onnxruntime" for turn in turns)


def test_contenders_take_turns_in_changing_order(fake):
    names = [NAMES[0], *NAMES[2:]]
    play(tasks(names), Effort(2, 0.1, 9))
    first, second = fake.log[:4], fake.log[4:]
    assert sorted(first) == sorted(second) == sorted(names)
    assert first != second


def test_a_worker_without_a_pipe_answers_every_order(monkeypatch):
    calls = []

    class Contender:
        images = 2

        def __call__(self):
            calls.append(1)
            return np.ones((2, 3)), {"a": np.ones((2, 1, 4)), "b": np.ones((2, 1, 4))}

    monkeypatch.setattr(worker, "make", lambda task: Contender())
    task = json.dumps({"contender": "x", "model": "m", "batch": 2, "size": 8, "threads": 1})
    answers = []
    worker.serve(iter(io.StringIO(f"{task}\n3\n1\n")), answers.append)
    assert answers[0]["scores"] == "2 of 2x1x4"
    assert all(answer["cpu"] >= 0 for answer in answers[1:])
    assert [len(answer["seconds"]) for answer in answers[1:]] == [3, 1]
    assert len(calls) == 2 + 4
    assert answers[-1]["peak"] >= answers[-1]["added"]


def test_results_must_be_finite_arrays():
    with pytest.raises(ValueError, match="scores_a must be a finite NumPy array"):
        worker.describe(np.ones(2), {"scores_a": np.array([np.nan])})
    with pytest.raises(ValueError, match="outputs must be"):
        worker.describe([1.0], {})


def test_calls_a_turn():
    assert calls_a_turn(10.0, 1.0) == 1
    assert calls_a_turn(0.3, 1.0) == 4
    assert calls_a_turn(0.0, 1.0) == 50


def test_every_score_mode_runs_on_every_engine():
    engines = {name.removeprefix("kerasvit-").rsplit("-", 1)[0] for name in ENTRIES}
    for engine in ("jax", "tf", "tf-xla", "torch"):
        assert engine in engines
        assert {f"kerasvit-{engine}-{mode}" for mode in ("full", "cls", "none")} <= set(ENTRIES)
