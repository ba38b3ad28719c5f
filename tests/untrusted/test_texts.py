"""Texts of strangers: whatever is wrong with them is one `ValueError`, soon."""

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


def test_good_toml():
    text = '# a.b.c.d\n[model.arguments]\nwidths = [[1, 2], [3]]\nx = "in.the.end"\n'
    assert read_toml(text)["model"]["arguments"]["widths"] == [[1, 2], [3]]
