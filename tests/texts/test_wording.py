"""Numbers with their nouns, and class names that a wrong one may stand for."""

import pytest

from kerasvit.errors import UsageError
from kerasvit.saliency import find_class
from kerasvit.saliency.targets import close_names
from kerasvit.texts.wording import counted


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "picture", "0 pictures"),
        (1, "picture", "1 picture"),
        (2, "class", "2 classes"),
        (1, "class", "1 class"),
        (3, "patch", "3 patches"),
        (2, "geometry", "2 geometries"),
        (2, "array", "2 arrays"),
    ],
)
def test_one_is_one(count, noun, text):
    assert counted(count, noun) == text


ANIMALS = [f"thing {number}" for number in range(30)] + [
    "tiger, Panthera tigris",
    "tiger cat",
    "tiger shark, Galeocerdo cuvieri",
    "tabby, tabby cat",
    "beaver",
]


def test_a_wrong_class_is_answered_with_names():
    with pytest.raises(UsageError, match="airplane, cat"):
        find_class("tiger", 2, ["airplane", "cat"])
    with pytest.raises(UsageError, match="'tiger cat' or"):
        find_class("tigercat", len(ANIMALS), ANIMALS)
    with pytest.raises(UsageError, match="'tabby, tabby cat'"):
        find_class("tabbi", len(ANIMALS), ANIMALS)
    assert find_class("tiger", len(ANIMALS), ANIMALS) == 30
    assert close_names("shark", ANIMALS) == ["tiger shark, Galeocerdo cuvieri"]
    assert close_names("CAT", ANIMALS)[:2] == ["tiger cat", "tabby, tabby cat"]
