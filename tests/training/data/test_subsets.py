import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.subsets import first_of_each_class, hold_out


def _folder(*counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"class {number}" for number in range(len(counts)))
    return PictureFolder([f"{number}.png" for number in range(len(labels))], labels, names)


def test_the_first_of_each_class_are_kept_in_order():
    few = first_of_each_class(_folder(5, 1, 3), 2)
    assert few.paths == ["0.png", "1.png", "5.png", "6.png", "7.png"]
    assert few.labels.tolist() == [0, 0, 1, 2, 2]
    assert few.class_names == _folder(5, 1, 3).class_names


def test_a_share_of_each_class_is_held_out_and_nothing_is_lost():
    folder = _folder(40, 10, 2, 1)
    rest, held = hold_out(folder, 0.2, seed=3)
    assert sorted([*rest.paths, *held.paths]) == sorted(folder.paths)
    assert np.bincount(held.labels, minlength=4).tolist() == [8, 2, 1, 0]
    for part in (rest, held):
        for path, label in zip(part.paths, part.labels, strict=True):
            assert folder.labels[folder.paths.index(path)] == label
    again, _ = hold_out(folder, 0.2, seed=3)
    other, _ = hold_out(folder, 0.2, seed=4)
    assert again.paths == rest.paths != other.paths


def test_nothing_may_be_held_out():
    folder = _folder(4, 4)
    assert hold_out(folder, 0.0) == (folder, None)
    assert hold_out(_folder(1, 1), 0.5)[1] is None
    # Every class keeps a picture to learn from.
    assert np.bincount(hold_out(_folder(2, 3), 0.99)[0].labels).tolist() == [1, 1]


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(UsageError, match="lies in"):
        hold_out(_folder(4, 4), share)
