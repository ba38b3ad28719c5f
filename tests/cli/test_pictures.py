"""Working through many pictures: decoded ahead, in order, in flat memory, with or without a bar."""

import io
import pathlib
import sys
import threading
import types
import weakref

import numpy as np
import pytest

from kerasvit.ahead import load_ahead
from kerasvit.cli.pictures import Progress, each_picture, shown
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.look import pictures
from kerasvit.look.classes import describe_outcome, top_classes
from kerasvit.models.problem import problem_of

PATHS = [pathlib.Path(f"{index}.png") for index in range(9)]


class Picture:
    """Something that can be watched by a weak reference."""


def test_pictures_come_in_order_and_only_a_few_are_held():
    alive = weakref.WeakSet()
    most = 0

    def load(path):
        picture = Picture()
        alive.add(picture)
        return picture

    names = []
    for path, future in load_ahead(PATHS, load):
        future.result()
        names.append(path)
        most = max(most, len(alive))
    assert names == PATHS
    assert most <= 2 + 2


def test_the_next_picture_is_decoded_while_one_is_computed():
    second = threading.Event()

    def load(path):
        if path == PATHS[1]:
            second.set()

    def work(path, loaded, progress):
        if path == PATHS[0]:
            assert second.wait(5)

    assert each_picture(PATHS[:2], load, work) == 0


def test_after_an_error_no_more_pictures_are_decoded():
    loaded = []
    with pytest.raises(OutputError):
        each_picture(PATHS * 9, loaded.append, _fails_with(OutputError("full")))
    assert len(loaded) < 9


def _fails_with(error, on=PATHS[0]):
    def work(path, loaded, progress):
        if path == on:
            raise error

    return work


@pytest.mark.parametrize("broken", ["load", "work"])
def test_a_bad_picture_is_named_counted_and_passed_over(capsys, broken):
    fail = _fails_with(InputError("damaged"), PATHS[3])
    load = (lambda path: fail(path, None, None)) if broken == "load" else (lambda path: None)
    done, failed = [], []

    def work(path, loaded, progress):
        if broken == "work":
            fail(path, loaded, progress)
        done.append(path)

    assert each_picture(PATHS, load, work) == 3
    assert done == PATHS[:3] + PATHS[4:]
    assert capsys.readouterr().err == "kerasvit: 3.png: damaged\n"
    errors = pictures.each_picture(
        PATHS,
        load,
        lambda path, loaded: work(path, loaded, None),
        failed=lambda path, error: failed.append(path),
    )
    assert failed == [PATHS[3]] == list(errors)
    assert capsys.readouterr().err == ""


def test_fail_fast_and_usage_errors_end_it():
    bad = _fails_with(InputError("damaged"))
    with pytest.raises(InputError):
        each_picture(PATHS, str, bad, fail_fast=True)
    with pytest.raises(UsageError):
        each_picture(PATHS, str, _fails_with(UsageError("no such layer")))
    # After a picture has gone well the fault is the picture's.
    assert each_picture(PATHS, str, _fails_with(UsageError("no such patch"), PATHS[5])) == 3


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def _run(monkeypatch, out, err):
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    each_picture(PATHS, str, lambda path, loaded, progress: progress.line(f"<{path}>"))
    return out.getvalue(), err.getvalue()


def test_a_line_for_each_picture_and_no_bar_without_a_terminal(monkeypatch):
    out, err = _run(monkeypatch, io.StringIO(), io.StringIO())
    assert out.splitlines() == [f"<{path}>" for path in PATHS]
    assert err == ""


def test_a_bar_and_no_lines_on_a_terminal(monkeypatch):
    out, err = _run(monkeypatch, Terminal(), Terminal())
    assert out == ""
    assert "9/9" in err


def test_a_bar_beside_lines_that_go_elsewhere(monkeypatch):
    out, err = _run(monkeypatch, io.StringIO(), Terminal())
    assert out.splitlines() == [f"<{path}>" for path in PATHS]
    assert "9/9" in err


def test_one_picture_needs_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(1) as progress:
        progress.advance()
        progress.part(3, None)
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[31m.png", "\udcff.png"])
def test_a_name_that_would_break_the_line_is_quoted(name):
    assert shown(pathlib.Path(name)) == repr(name)
    assert shown(pathlib.Path("ünï çödé.png")) == "ünï çödé.png"


def _model_of(num_outputs, **record):
    return types.SimpleNamespace(problem=problem_of(record, num_outputs))


def test_of_many_labels_those_from_the_threshold_on_are_found_and_always_one():
    model = _model_of(3, problem_type="multi_label_classification", class_names=["a", "b", "c"])
    logits = np.array([0.1, -2.0, 3.0], np.float32)
    assert [name for _, name, _ in top_classes(model, logits, 5)] == ["c", "a"]
    assert [name for _, name, _ in top_classes(model, logits, 1)] == ["c"]
    found = top_classes(model, logits - 9, 5)
    assert [name for _, name, _ in found] == ["c"]
    words = describe_outcome(model, found)
    assert words == "no label from 50% on; the most probable: c 0.2%"


def test_yes_and_no_and_the_values_of_a_regression():
    logits = np.array([-1.0], np.float32)
    found = top_classes(_model_of(1, class_names=["cat"]), logits, 5)
    assert [name for _, name, _ in found] == ["not cat", "cat"]
    assert [share for *_, share in found] == pytest.approx([0.731059, 0.268941], abs=1e-6)
    model = _model_of(2, problem_type="regression", class_names=["age", "height"])
    values = np.array([31.25, 178.0], np.float32)
    assert describe_outcome(model, top_classes(model, values, 1)) == "age 31.25, height 178"


def test_top_classes_are_the_softmax_in_order():
    model = _model_of(3, class_names=["ant", "bee"])
    logits = np.log(np.array([0.1, 0.6, 0.3], np.float32)) + 7
    found = top_classes(model, logits, 2)
    assert [(index, name) for index, name, _ in found] == [(1, "bee"), (2, "class 2")]
    assert [probability for *_, probability in found] == pytest.approx([0.6, 0.3])
    with pytest.raises(InputError, match="finite"):
        top_classes(model, logits * np.nan, 2)
