"""The mark `backend` is earned by few tests, and leaves no room, layer or method out.

These read the files, and so know what runs on JAX and TensorFlow without running there.
"""

import ast
import pathlib

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
# Files, pictures and numbers that no backend has touched.
WITHOUT_BACKEND = {"images", "render", "releases", "benchmarks", "examples", "suite"}
WITHOUT_BACKEND |= {"docs", "files", "fuzzing", "injected", "publishing", "soak", "texts"}


def _is_mark(node, name):
    """Tell whether an expression holds `pytest.mark.NAME`."""
    return any(
        isinstance(part, ast.Attribute)
        and part.attr == name
        and isinstance(part.value, ast.Attribute)
        and part.value.attr == "mark"
        for part in ast.walk(node)
    )


def _spreads_on_backends(node):
    """Tell whether `breadth.spread` gives some of a test's cases the mark."""
    return any(
        isinstance(part, ast.keyword) and part.arg == "on_backends" for part in ast.walk(node)
    )


def _file_marks(tree):
    return [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]


def _marked(path):
    """Return the names of a file's tests that run on every backend."""
    tree = ast.parse(path.read_text())
    whole = any(_is_mark(mark, "backend") for mark in _file_marks(tree))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {
        test.name
        for test in tests
        if test.name.startswith("test_")
        and (
            whole
            or any(
                _is_mark(one, "backend") or _spreads_on_backends(one) for one in test.decorator_list
            )
        )
    }


def _rooms():
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("*/test_*.py")}
    return sorted(folders - WITHOUT_BACKEND)


@pytest.mark.parametrize("room", _rooms())
def test_each_room_has_tests_on_every_backend(room):
    assert any(_marked(path) for path in (TESTS / room).rglob("test_*.py"))


@pytest.mark.parametrize("room", sorted(WITHOUT_BACKEND))
def test_a_room_without_a_backend_has_none(room):
    assert not any(_marked(path) for path in (TESTS / room).rglob("test_*.py"))


def test_every_layer_is_computed_on_every_backend():
    """By the tests of the table of layers, which another test holds complete."""
    marked = _marked(TESTS / "layers" / "test_conformance.py")
    assert "test_a_functional_model_of_unknown_batch_size_equals_the_eager_call" in marked
    assert "test_a_mixed_policy_computes_in_half_precision_and_keeps_weights_whole" in marked


def test_every_saliency_method_is_computed_on_every_backend():
    """By the maps that one backend stored: of all methods, which that test itself asserts."""
    assert "test_maps" in _marked(TESTS / "saliency" / "test_golden.py")


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_what_one_backend_alone_can_do_is_marked(backend):
    """A test that PyTorch skips would run nowhere."""
    forgotten = []
    for path in TESTS.rglob("test_*.py"):
        marked = _marked(path)
        for test in ast.parse(path.read_text()).body:
            if not isinstance(test, ast.FunctionDef) or test.name in marked:
                continue
            conditions = [ast.unparse(each) for each in test.decorator_list]
            alone = (f"!= '{backend}'", f"on_{backend}")
            if any(part in one for one in conditions for part in alone):
                forgotten.append(f"{path.name}::{test.name}")
    assert not forgotten
