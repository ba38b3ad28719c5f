"""The table of promises is whole, and the tests that it names are there."""

import ast
import functools
import pathlib
import re

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "development" / "promises.md"
ROWS = dict(re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), flags=re.M))


@functools.cache
def _functions(path):
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_its_row():
    assert list(map(int, ROWS)) == list(range(1, 50))


@pytest.mark.parametrize("row", ROWS)
def test_a_promise_is_held_by_tests_that_exist(row):
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", ROWS[row])
    assert named
    assert [name for name in named if name[1] not in _functions(name[0])] == []
