import numpy as np
import pytest
from feature_pictures import make_features

from kerasvit.errors import InputError, UsageError
from kerasvit.features import pca
from kerasvit.saliency.probes.features import principal_components


def singular(rows, count):
    """Return components by NumPy's decomposition alone."""
    return np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:count]


@pytest.mark.parametrize("shape", [(9, 30), (50, 30), (400, 30)])
def test_components_are_those_of_the_decomposition(shape):
    rows = np.random.default_rng(2).normal(size=shape) * np.linspace(3, 1, 30) + 5
    found, expected = principal_components(rows, 4), singular(rows, 4)
    np.testing.assert_allclose(np.abs((found * expected).sum(axis=1)), 1, atol=1e-9)
    largest = np.abs(found).argmax(axis=1)
    assert (found[range(4), largest] > 0).all()


def test_all_pictures_share_their_components(made):
    result = pca(made)
    rows = np.concatenate([picture.values.reshape(-1, 12) for picture in made]).astype(float)
    first = (rows - rows.mean(axis=0)) @ singular(rows, 1)[0]
    found = np.concatenate([values.reshape(-1) for values in result.first])
    np.testing.assert_allclose(np.abs(found), np.abs(first) / first.std(), rtol=1e-6)
    inside = found > 0
    assert (np.concatenate([mask.reshape(-1) for mask in result.masks]) == inside).all()
    own = rows[inside]
    projected = (own - own.mean(axis=0)) @ result.foreground_components.T
    low, high = np.percentile(projected, (1, 99), axis=0)
    colours = np.concatenate([values.reshape(-1, 3) for values in result.colours])
    expected = np.clip((projected - low) / (high - low), 0, 1)
    np.testing.assert_allclose(colours[inside], expected, atol=1e-9)
    assert np.isnan(colours[~inside]).all()
    np.testing.assert_allclose(
        np.abs(result.foreground_components @ singular(own, 3).T), np.eye(3), atol=1e-7
    )


def test_shares_of_the_variance_are_those_of_the_singular_values(made):
    result = pca(made)
    rows = np.concatenate([picture.values.reshape(-1, 12) for picture in made]).astype(float)
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(result.explained[0], values[0] / values.sum(), rtol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_foreground_is_what_the_borders_are_not(planted, sign):
    pictures, masks = planted
    pictures = [make_features(sign * picture.values) for picture in pictures]
    for found, mask in zip(pca(pictures).masks, masks, strict=True):
        np.testing.assert_array_equal(found, mask)


def test_either_end_can_be_the_foreground_and_the_threshold_moves_it(planted):
    pictures, masks = planted
    ends = [pca(pictures, foreground=end).masks[0] for end in ("high", "low")]
    assert (ends[0] ^ ends[1]).all()
    assert any((end == masks[0]).all() for end in ends)
    counts = [
        sum(mask.sum() for mask in pca(pictures, threshold=threshold).masks)
        for threshold in (-9, 0, 2)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == sum(mask.size for mask in masks)


def test_what_has_no_components(made, planted):
    with pytest.raises(InputError, match=r"4 patches at least.*Received: 0 of"):
        pca(made, threshold=99)
    with pytest.raises(InputError, match="one model"):
        pca([*made, *planted[0]])
    with pytest.raises(InputError, match="At least 1"):
        pca([])
    with pytest.raises(UsageError, match="foreground='both'"):
        pca(made, foreground="both")
    with pytest.raises(UsageError, match="threshold=nan"):
        pca(made, threshold=float("nan"))
