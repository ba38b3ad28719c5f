"""The resampling kernel against PyTorch and Pillow, and what holds for every input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images import resize_array
from kerasvit.images.resampling import INTERPOLATIONS

SIDES = st.integers(1, 24)


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def torch_resize(array, size, mode, **options):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(array).reshape(1, -1, *array.shape[-2:])
    resized = torch.nn.functional.interpolate(tensor, size, mode=mode, **options)
    return resized.numpy().reshape(*array.shape[:-2], *size)


def pillow_resize(array, size, interpolation, box=None):
    image = Image.fromarray(array.astype(np.float32))
    return np.asarray(image.resize(size[::-1], interpolation, box=box))


# ---- parity -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [((3, 5), (30, 51)), ((14, 14), (224, 300)), ((1, 4), (7, 4))])
def test_enlarging_equals_torch(sizes):
    old, new = sizes
    array = values(2, 6, *old).astype(np.float64)
    bilinear = torch_resize(array, new, "bilinear", align_corners=False)
    np.testing.assert_allclose(resize_array(array, new), bilinear, rtol=0, atol=1e-13)
    single = resize_array(array.astype(np.float32), new)
    np.testing.assert_allclose(single, bilinear, rtol=0, atol=1e-6)
    nearest = torch_resize(array, new, "nearest-exact")
    np.testing.assert_array_equal(resize_array(array, new, "nearest"), nearest)


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_bicubic_equals_pillow_on_a_picture_whose_edge_is_repeated(factor):
    """Pillow drops the taps beyond the border; with the edge repeated by hand there are none."""
    array, margin = values(5, 8), 3
    padded = np.pad(array, margin, mode="edge")
    expected = pillow_resize(
        padded, tuple(side * factor for side in padded.shape), Image.Resampling.BICUBIC
    )[margin * factor : -margin * factor, margin * factor : -margin * factor]
    clipped = np.clip(expected, array.min(), array.max())
    result = resize_array(array, (5 * factor, 8 * factor), "bicubic")
    np.testing.assert_allclose(result, clipped, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("interpolation", "filter", "mode"),
    [
        ("bilinear", Image.Resampling.BILINEAR, "bilinear"),
        ("bicubic", Image.Resampling.BICUBIC, "bicubic"),
    ],
)
def test_shrinking_equals_pillow_and_torch_inside(interpolation, filter, mode):
    array = values(60, 90)
    result = resize_array(array, (20, 25), interpolation)[4:-4, 4:-4]
    pillow = pillow_resize(array, (20, 25), filter)[4:-4, 4:-4]
    torch = torch_resize(array[None], (20, 25), mode, antialias=True)[0, 4:-4, 4:-4]
    np.testing.assert_allclose(result, pillow, rtol=0, atol=2e-6)
    np.testing.assert_allclose(result, torch, rtol=0, atol=2e-6)


# ---- properties -------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    old=st.tuples(SIDES, SIDES), new=st.tuples(SIDES, SIDES), how=st.sampled_from(INTERPOLATIONS)
)
def test_what_holds_for_every_size(old, new, how):
    array = values(2, *old)
    result = resize_array(array, new, how)
    assert result.shape == (2, *new)
    assert result.dtype == np.float32
    for before, after in zip(array, result, strict=True):
        assert before.min() <= after.min()
        assert after.max() <= before.max()
    np.testing.assert_array_equal(resize_array(array, old, how), array)
    np.testing.assert_array_equal(
        resize_array(np.full(old, 0.1, "f"), new, how), np.full(new, 0.1, "f")
    )
    swapped = resize_array(array.swapaxes(-1, -2), new[::-1], how)
    np.testing.assert_allclose(swapped.swapaxes(-1, -2), result, rtol=0, atol=2e-6)
    if how != "nearest":  # Nearest has to break ties to one side.
        flipped = resize_array(array[:, ::-1, ::-1], new, how)
        np.testing.assert_allclose(flipped[:, ::-1, ::-1], result, rtol=0, atol=2e-6)


def test_bicubic_reproduces_a_parabola_inside():
    """Keys 1981: a = -1/2 is the only value for which the error is of third order."""
    centres = np.arange(12) + 0.5
    fine = (np.arange(60) + 0.5) / 5
    result = resize_array(np.tile(centres**2, (2, 1)), (2, 60), "bicubic")
    np.testing.assert_allclose(result[0, 10:-10], fine[10:-10] ** 2, rtol=1e-12)


def test_shrinking_loses_no_hot_cell():
    array = np.zeros((64, 64), np.float32)
    array[21, 34] = 1.0
    for how in ("bilinear", "bicubic"):
        result = resize_array(array, (8, 8), how)
        assert np.unravel_index(result.argmax(), (8, 8)) == (2, 4)


def test_dtypes():
    assert resize_array(np.ones((2, 2)), (3, 3)).dtype == np.float64
    assert resize_array(np.ones((2, 2), np.float16), (3, 3)).dtype == np.float32
    assert resize_array(np.ones((2, 2), int), (3, 3), "bicubic").dtype == np.float32
    assert resize_array(np.ones((2, 2), bool), (3, 3), "nearest").dtype == bool


# ---- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_would_spread_are_refused(bad):
    array = values(4, 4)
    array[1, 2] = bad
    for how in ("bilinear", "bicubic"):
        with pytest.raises(InputError, match="Received: 1 such values of 16"):
            resize_array(array, (8, 8), how)
    result = resize_array(array, (8, 8), "nearest")
    np.testing.assert_array_equal(result[2:4, 4:6], np.full((2, 2), bad, "f"))
    assert np.isfinite(result).sum() == 60


@pytest.mark.parametrize(
    ("array", "size", "how"),
    [
        (values(4), (2, 2), "nearest"),
        (values(0, 4), (2, 2), "nearest"),
        (values(4, 4), (0, 2), "nearest"),
        (values(4, 4), (2,), "nearest"),
        (values(4, 4), (2, 2), "lanczos"),
    ],
)
def test_usage(array, size, how):
    with pytest.raises(UsageError, match="Received: "):
        resize_array(array, size, how)
