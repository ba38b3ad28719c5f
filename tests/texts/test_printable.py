"""What a terminal obeys is shown instead."""

import unicodedata

import pytest

from kerasvit.texts.printable import printable, printable_tree


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe 猫 🐈 نمی‌خواهم \u00ad", "größe 猫 🐈 نمی‌خواهم \u00ad"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("done\r\nkerasvit: ok", r"done\r\nkerasvit: ok"),
        ("a\x00b\x7fc\x08", r"a\x00b\x7fc\x08"),
        ("abc\u202ecba\u2066", r"abc\u202ecba\u2066"),
        ("line\u2028two\u2029\x85", r"line\u2028two\u2029\x85"),
        ("\udcff lone \ud800", r"\udcff lone \ud800"),
        ("\ufeff\u200b\u200e", r"\ufeff\u200b\u200e"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_text(text, shown):
    assert printable(text) == shown
    printable(text).encode("utf-8")


def test_no_letter_of_any_script_is_changed_and_no_control_kept():
    for number in range(0x110000):
        category = unicodedata.category(letter := chr(number))
        if category in ("Cc", "Cs", "Zl", "Zp"):
            assert printable(letter) != letter
        elif category != "Cf":
            assert printable(letter) == letter


def test_lines_and_trees():
    assert printable("a\n\x1b", lines=True) == "a\n\\x1b"
    value = {"\x1b": ["\r", {"a": "\x07"}], "b": 1, "c": None}
    assert printable_tree(value) == {r"\x1b": [r"\r", {"a": r"\x07"}], "b": 1, "c": None}
