"""Texts of strangers: whatever is wrong with them is one `ValueError`, soon."""

import contextlib
import time

import pytest

from kerasvit.untrusted.texts import read_json, read_toml


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" + "0" * 5000,
        '{"a": 1, "b": 2, "a": 3}',
        "no JSON",
        b"\xff\xfe\xff",
        "[" + "1," * 10_000_000 + "1]",
    ],
    ids=range(7),
)
def test_bad_json(text):
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_the_name_that_is_there_twice_is_named():
    with pytest.raises(ValueError, match="'b' twice"):
        read_json('{"a": 1, "b": 2, "b": 3, "c": 4}')


def test_good_json():
    assert read_json(b'{"a": [1, {"b": "\xc3\xa9"}]}') == {"a": [1, {"b": "\u00e9"}]}


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "9" * 5000,
        "a = " + "[" * 3000 + "]" * 3000,
        "a = " + "[1, " * 3000 + "]" * 3000,
        "a." * 100_000 + "a = 1",
        "[" + "a." * 3000 + "a]\nb = 1",
        "a = " + "{b = " * 3000 + "1" + "}" * 3000,
        "a = ",
        "a = 1\na = 2",
        "#" + " " * 2**21,
    ],
    ids=range(9),
)
def test_bad_toml(text):
    with pytest.raises(ValueError, match=r"."):
        read_toml(text)


@pytest.mark.parametrize(
    "piece", ["x", " ", '"', "'", '"x"', "x.", "x .", "[ ", "[", "{", "x=", '"x', "x-", ". "]
)
def test_no_text_of_one_piece_takes_long(piece):
    """A word of 20,000 letters took 20 seconds, one of a million half a day."""
    started = time.process_time()
    for text in (piece * 30_000, "a = " + piece * 30_000):
        with contextlib.suppress(ValueError):
            read_toml(text)
        with contextlib.suppress(ValueError):
            read_json(text)
    assert time.process_time() - started < 5


def test_good_toml():
    text = '# a.b.c.d\n[model.arguments]\nwidths = [[1, 2], [3]]\nx = "in.the.end"\n'
    assert read_toml(text)["model"]["arguments"]["widths"] == [[1, 2], [3]]
