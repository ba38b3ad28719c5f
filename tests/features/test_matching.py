import math

import numpy as np
import pytest
from feature_pictures import make_features

from kerasvit.errors import InputError, UsageError
from kerasvit.features import match, matching, similarity


def cosine(one, other):
    dot = sum(float(a) * float(b) for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(float(a) ** 2 for a in one) * sum(float(b) ** 2 for b in other))


def places(picture):
    return [(row, column) for row in range(picture.grid[0]) for column in range(picture.grid[1])]


def best_buddies(one, other):
    """Return the pairs by the definition, patch by patch."""
    pairs = {}
    for here in places(one):
        likeness = {there: cosine(one.values[here], other.values[there]) for there in places(other)}
        there = max(likeness, key=likeness.get)
        back = {back: cosine(one.values[back], other.values[there]) for back in places(one)}
        if max(back, key=back.get) == here:
            pairs[here, there] = likeness[there]
    return pairs


def test_pairs_are_each_others_nearest(made):
    one, other = made
    found = match(one, other)
    expected = best_buddies(one, other)
    pairs = list(zip(map(tuple, found.first), map(tuple, found.second), strict=True))
    assert len(found) == len(expected) > 3
    assert set(pairs) == set(expected)
    np.testing.assert_allclose(found.similarity, [expected[pair] for pair in pairs], atol=1e-6)
    assert (np.diff(found.similarity) <= 0).all()
    back = match(other, one)
    assert set(zip(map(tuple, back.second), map(tuple, back.first), strict=True)) == set(expected)


def test_many_patches_are_compared_in_parts(made, monkeypatch):
    whole = match(*made)
    monkeypatch.setattr(matching, "_ROWS", 7)
    parts = match(*made)
    np.testing.assert_array_equal(whole.first, parts.first)
    np.testing.assert_array_equal(whole.second, parts.second)


def test_a_picture_matches_itself_and_its_shift():
    values = np.random.default_rng(3).normal(size=(6, 8, 5))
    picture = make_features(values)
    itself = match(picture, picture)
    np.testing.assert_array_equal(itself.first, itself.second)
    assert len(itself) == 48
    shifted = match(picture, make_features(np.roll(values, 2, axis=1)))
    np.testing.assert_array_equal((shifted.second - shifted.first) % [6, 8], [[0, 2]] * 48)


def test_masks_and_the_number_of_pairs(made, planted):
    pictures, masks = planted
    found = match(*pictures, masks=tuple(masks))
    assert all(masks[0][tuple(place)] for place in found.first)
    assert all(masks[1][tuple(place)] for place in found.second)
    few = match(*made, top=2)
    np.testing.assert_array_equal(few.first, match(*made).first[:2])
    with pytest.raises(UsageError, match="top=0"):
        match(*made, top=0)
    with pytest.raises(InputError, match=r"mask is bool \(8, 10\)"):
        match(*pictures, masks=(masks[1], masks[0]))
    for empty in (0, 1):
        chosen = [
            np.zeros_like(mask) if number == empty else mask for number, mask in enumerate(masks)
        ]
        none = match(*pictures, masks=tuple(chosen))
        assert len(none) == 0
        assert none.first.shape == none.second.shape == (0, 2)


def test_similarity_is_the_cosine_with_every_patch(made):
    maps = similarity(made, (2, 3), picture=1)
    query = made[1].values[2, 3]
    for own, values in zip(made, maps, strict=True):
        assert values.shape == own.grid
        for place in places(own):
            assert values[place] == pytest.approx(cosine(query, own.values[place]), abs=1e-6)
    assert maps[1][2, 3] == pytest.approx(1, abs=1e-6)
    with pytest.raises(UsageError, match=r"\(0, 0\) to \(4, 5\).*\(5, 0\)"):
        similarity(made, (5, 0))
    with pytest.raises(UsageError, match="picture=2"):
        similarity(made, (0, 0), picture=2)
