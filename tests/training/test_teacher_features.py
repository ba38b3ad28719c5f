"""Precomputed tokens of a teacher: what moves with a picture, and what the file holds."""

import keras
import numpy as np
import pytest

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.models import VisionTransformer
from kerasvit.training.teacher_features import TeacherFeatures, precompute_features

ROWS, COLUMNS, WIDTH = 3, 4, 2
PATCH = 4
NONE = 0.0


def _pictures(count=5):
    return np.random.default_rng(0).integers(1, 255, (count, ROWS * PATCH, COLUMNS * PATCH, 3))


def _means(pictures):
    """A teacher that is exactly equivariant to whole patches: the mean colour of each."""
    parts = pictures.reshape(len(pictures), ROWS, PATCH, COLUMNS, PATCH, 3)
    return parts.mean(axis=(2, 4))


def _moved(picture, down, right, mirror):
    """Shift a picture by whole patches over nothing, then mirror it."""
    height, width, _ = picture.shape
    margin = 3 * PATCH
    padded = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)))
    top, left = margin - down * PATCH, margin - right * PATCH
    crop = padded[top : top + height, left : left + width]
    return crop[:, ::-1] if mirror else crop


@pytest.mark.parametrize("variants", [1, 2])
def test_tokens_move_as_the_picture_does(variants):
    pictures = _pictures()
    tokens = _means(pictures)[:, None]
    if variants == 2:
        tokens = np.concatenate([tokens, _means(pictures[:, :, ::-1])[:, None]], axis=1)
    indices = np.array([4, 0, 0, 2, 1, 3])
    shifts = np.array([[0, 0], [1, 2], [-1, 1], [0, -3], [2, 0], [-2, -2]])
    mirrored = np.array([True, False, True, True, False, True])
    features, valid = TeacherFeatures(tokens).batch(indices, shifts, mirrored)
    moved = np.stack(
        [
            _moved(pictures[index], *shift, mirror)
            for index, shift, mirror in zip(indices, shifts, mirrored, strict=True)
        ]
    )
    expected = _means(moved).reshape(6, -1, 3)
    np.testing.assert_array_equal(valid, (expected != NONE).all(axis=2))
    kept = valid > 0
    np.testing.assert_allclose(features[kept], expected[kept], rtol=1e-6)
    assert np.isfinite(features).all()


def test_tokens_between_two_places_are_the_mean_of_both_by_nearness():
    # Linear in place, so that interpolation is exact.
    rows, columns = np.mgrid[:ROWS, :COLUMNS].astype("float32")
    tokens = np.stack([rows, columns], axis=-1)[None, None]
    shifts = np.array([[0.25, -0.5], [-1.75, 0.0], [0.0, 1.5]])
    mirrored = np.array([False, False, True])
    features, valid = TeacherFeatures(tokens).batch(np.zeros(3, int), shifts, mirrored)
    features = features.reshape(3, ROWS, COLUMNS, 2)
    for found, (down, right), mirror in zip(features, shifts, mirrored, strict=True):
        expected = np.stack(
            [np.clip(rows - down, 0, ROWS - 1), np.clip(columns - right, 0, COLUMNS - 1)], axis=-1
        )
        np.testing.assert_allclose(found, expected[:, ::-1] if mirror else expected, atol=1e-6)
    # A quarter of a patch from outside still counts, half of one and more do not.
    first = valid[0].reshape(ROWS, COLUMNS)
    assert first[0, : COLUMNS - 1].all()
    assert not first[:, -1].any()


def test_tokens_at_rest_are_those_of_the_array_and_the_array_stays():
    tokens = np.random.default_rng(0).normal(size=(4, 1, ROWS, COLUMNS, WIDTH)).astype("float16")
    kept = tokens.copy()
    features, valid = TeacherFeatures(tokens).batch(np.array([2, 0]))
    np.testing.assert_array_equal(features, tokens[[2, 0], 0].reshape(2, -1, WIDTH))
    assert features.dtype == np.float32
    assert valid.all()
    TeacherFeatures(tokens).batch(np.array([2, 0]), mirrored=np.array([True, True]))
    np.testing.assert_array_equal(tokens, kept)


def test_another_grid_keeps_constants_and_the_order_of_places():
    rows, columns = np.mgrid[:8, :8]
    tokens = np.stack([rows, columns, np.ones((8, 8))], axis=-1)[None, None]
    features, valid = TeacherFeatures(tokens).batch(np.array([0]), grid=(4, 6))
    grid = features.reshape(4, 6, 3)
    np.testing.assert_allclose(grid[..., 2], 1, rtol=1e-6)
    assert (np.diff(grid[..., 0], axis=0) > 1).all()
    assert (np.diff(grid[..., 1], axis=1) > 1).all()
    np.testing.assert_allclose(grid[..., 0].mean(), 3.5, atol=1e-5)
    assert valid.shape == (1, 24)
    assert valid.all()


@pytest.fixture(scope="module")
def teacher():
    return VisionTransformer(
        image_shape=(16, 16, 3),
        patch_size=8,
        num_classes=0,
        hidden_dim=8,
        num_layers=1,
        num_heads=2,
        mlp_dim=8,
        num_registers=1,
    )


PREPROCESSING = Preprocessing(
    (16, 24), crop_fraction=1.0, crop_mode="squash", mean=(0.5,) * 3, std=(0.25,) * 3
)


def test_the_file_holds_the_patch_tokens_of_every_picture(teacher, tmp_path):
    pictures = _pictures().astype("uint8")
    path = tmp_path / "tokens.npy"
    found = precompute_features(
        teacher,
        pictures.__getitem__,
        len(pictures),
        PREPROCESSING,
        path,
        mirrored=True,
        batch_size=2,
    )
    assert len(found) == 5
    assert found.width == 8
    pixels = np.stack([PREPROCESSING.evaluate(picture).pixels for picture in pictures])
    for variant, images in enumerate((pixels, pixels[:, :, ::-1])):
        tokens = teacher.forward_features(np.ascontiguousarray(images))
        expected = keras.ops.convert_to_numpy(tokens)[:, 2:]
        np.testing.assert_allclose(
            found.tokens[:, variant].reshape(expected.shape), expected, atol=5e-3
        )
    with pytest.raises(OutputError, match="exists"):
        precompute_features(teacher, pictures.__getitem__, 5, PREPROCESSING, path)


def test_what_is_no_file_of_tokens_is_refused(teacher, tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((3, 4)))
    (tmp_path / "text.npy").write_text("no array")
    for name in ("flat.npy", "text.npy", "missing.npy"):
        with pytest.raises(InputError, match="precompute_features"):
            TeacherFeatures.load(tmp_path / name)
    with pytest.raises(UsageError, match="count=0"):
        precompute_features(teacher, None, 0, PREPROCESSING, tmp_path / "tokens.npy")
