"""Position resampling against torch's own interpolation, over random grids."""

import numpy as np
import pytest

from kerasvit.layers.position_resampling import RULES, resample_grid, resampling_matrix


def _random_grids(count):
    """Pairs of grids, shrinking and growing, squares and rectangles, some with one side kept.

    No side is 1: torch 2.13 repeats the first row where an antialiased picture is one pixel wide.
    """
    rng = np.random.default_rng(0)
    for index in range(count):
        old, new = rng.integers(2, 24, 2), rng.integers(2, 40, 2)
        if index % 5 == 0:
            new[index % 2] = old[index % 2]
        if tuple(old) != tuple(new):
            yield tuple(map(int, old)), tuple(map(int, new))


def _torch_arguments(old, new, rule):
    mode = rule.split("_")[0]
    if rule == "bicubic_offset":
        scales = tuple((after + 0.1) / before for before, after in zip(old, new, strict=True))
        return {"scale_factor": scales, "mode": mode, "align_corners": False}
    return {
        "size": new,
        "mode": mode,
        "antialias": rule == "bicubic_antialias",
        "align_corners": rule.endswith("align_corners"),
    }


@pytest.mark.parametrize("rule", RULES)
def test_resampling_equals_torch(rule):
    import torch

    rng = np.random.default_rng(1)
    for old, new in _random_grids(55):
        positions = rng.uniform(-1, 1, (*old, 3)).astype(np.float32)
        ours = resample_grid(positions, new, rule)
        theirs = torch.nn.functional.interpolate(
            torch.tensor(positions, dtype=torch.float64).permute(2, 0, 1)[None],
            **_torch_arguments(old, new, rule),
        )
        expected = theirs[0].permute(1, 2, 0).numpy()
        assert ours.dtype == np.float32
        assert ours.shape == expected.shape == (*new, 3), (old, new)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6, err_msg=f"{old} {new}")


def test_the_offset_rule_moves_an_axis_that_keeps_its_length():
    """DINO interpolates both axes as soon as one differs, with the scale (h + 0.1) / h on each."""
    assert np.abs(resampling_matrix(8, 8, "bicubic_offset") - np.eye(8)).max() > 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_the_stored_grid_comes_back_as_it_is(rule):
    positions = np.random.default_rng(2).normal(size=(4, 7, 3)).astype(np.float32)
    np.testing.assert_array_equal(resample_grid(positions, (4, 7), rule), positions)
    np.testing.assert_array_equal(resample_grid(positions, [4, 7], rule), positions)


@pytest.mark.parametrize("rule", ["bicubic_antialias", "bicubic"])
def test_an_axis_of_the_same_length_is_left_alone(rule):
    np.testing.assert_array_equal(resampling_matrix(7, 7, rule), np.eye(7))


@pytest.mark.parametrize("rule", RULES)
def test_rows_sum_to_one_so_that_constants_stay_constant(rule):
    for old, new in _random_grids(20):
        matrix = resampling_matrix(old[0], new[0], rule)
        assert matrix.shape == (new[0], old[0])
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
        constant = np.full((*old, 2), 0.7, np.float32)
        np.testing.assert_allclose(resample_grid(constant, new, rule), 0.7, atol=1e-6)


def test_rows_and_columns_are_not_mixed_up():
    """Positions that vary along the rows alone vary along the rows alone after resampling."""
    positions = np.broadcast_to(np.arange(4.0, dtype=np.float32)[:, None, None], (4, 6, 1))
    resampled = resample_grid(positions, (9, 5), "bicubic_antialias")
    assert np.ptp(resampled, axis=1).max() < 1e-6
    assert (np.diff(resampled[:, 0, 0]) > 0).all()


def test_a_matrix_is_shared_and_so_cannot_be_written_to():
    matrix = resampling_matrix(4, 6, "bicubic")
    assert resampling_matrix(4, 6, "bicubic") is matrix
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 6, "nearest"), "position_resampling must be one of"),
        ((0, 6, "bicubic"), "Grid sizes must be positive"),
        ((4, 0, "bicubic"), "Grid sizes must be positive"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        resampling_matrix(*arguments)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)
