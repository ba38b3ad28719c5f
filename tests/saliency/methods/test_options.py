"""What options of methods say when a value is none of theirs."""

import pytest

from kerasvit.errors import UsageError
from kerasvit.saliency.options import Option, Rule


def _option(kinds, default=None, **rules):
    return Option("steps", kinds, default, Rule("what it does", **rules))


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        (_option((int,), 3), "x", "steps is a whole number. Received: steps=x. The default is 3."),
        (_option((float,), 0.5), "x", "steps is a number."),
        (
            _option((int, type(None))),
            "1.5",
            "steps is a whole number or None. Received: steps=1.5.",
        ),
        (_option((bool,), True), "maybe", "steps is 0 or 1."),
        (_option((int,)), "x", "Leave it out for the default."),
    ],
)
def test_a_text_that_stands_for_no_value(option, text, words):
    with pytest.raises(UsageError) as caught:
        option.parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "good", "bad", "words"),
    [
        ({"lowest": 1}, [1, 7], [0, -3], "at least one"),
        ({"lowest": 0}, [0, 7], [-1], "steps is at least 0"),
        ({"below": 5}, [4, -9], [5, 6], "steps is below 5"),
        ({"between": (0, 3)}, [1, 2], [0, 3, 4, -1], "steps lies between 0 and 3"),
        ({"choices": (2, 4)}, [2, 4], [3], "no such steps. Received: steps=3. Choose 2 or 4."),
    ],
)
def test_what_a_value_may_be(rules, good, bad, words):
    option = _option((int, type(None)), **rules)
    for value in (*good, None):
        option.check(value)
    for value in bad:
        with pytest.raises(UsageError) as caught:
            option.check(value)
        assert words in str(caught.value)
    for value in ("3", 1.5, True):
        with pytest.raises(
            UsageError, match=r"steps is (a whole number or None|2 or 4)\. Received"
        ):
            option.check(value)
