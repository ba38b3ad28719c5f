"""The evaluation transform has timm's bits; the other two keep what they promise."""

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images import Preprocessing, read

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = [(1, 1), (3, 500), (70, 2), (224, 224), (300, 451), (451, 300), (256, 257), (255, 256)]
SIZES += [(333, 500), (37, 100), (640, 427), (199, 201)]


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def preprocessing(image_size=(224, 224), **options):
    return Preprocessing(**{"image_size": image_size, "mean": MEAN, "std": STD, **options})


def assert_equals_timm(timm, image, prepare):
    """Compare with the transform that timm builds from the same numbers."""
    options = {
        "input_size": (3, *prepare.image_size),
        "crop_pct": prepare.crop_fraction,
        "crop_mode": prepare.crop_mode,
        "interpolation": prepare.interpolation,
        "mean": prepare.mean,
        "std": prepare.std,
        "is_training": False,
    }
    bits = timm.data.create_transform(**options, normalize=False)(Image.fromarray(image))
    floats = timm.data.create_transform(**options)(Image.fromarray(image))
    prepared = prepare.evaluate(image)
    np.testing.assert_array_equal(prepared.image, bits.permute(1, 2, 0).numpy())
    assert prepared.image.dtype == np.uint8
    assert prepared.pixels.dtype == np.float32
    np.testing.assert_allclose(prepared.pixels, floats.permute(1, 2, 0), rtol=0, atol=1e-6)
    assert prepared.geometry.input_size == prepare.image_size
    assert prepared.geometry.original_size == image.shape[:2]


# ---- parity with timm -------------------------------------------------------------------------


@pytest.mark.parametrize("crop_mode", ["center", "border", "squash"])
@pytest.mark.parametrize("crop_fraction", [0.875, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("image_size", [(224, 224), (96, 160), (98, 56)])
def test_evaluate_has_the_bits_of_timm(timm, crop_mode, crop_fraction, image_size):
    prepare = preprocessing(image_size, crop_mode=crop_mode, crop_fraction=crop_fraction)
    for size in SIZES:
        if crop_mode == "border" and max(size) > 100 * min(size):
            continue  # Too narrow for the small sizes; see test_roundings_are_those_of_timm.
        assert_equals_timm(timm, picture(*size), prepare)


@pytest.mark.parametrize(
    "interpolation", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
)
def test_each_interpolation_has_the_bits_of_timm(timm, interpolation):
    prepare = preprocessing((64, 64), interpolation=interpolation)
    for size in [(50, 70), (301, 211), (73, 73)]:
        assert_equals_timm(timm, picture(*size), prepare)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 130), st.integers(1, 130)),
    target=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    square=st.booleans(),
    crop_fraction=st.sampled_from([0.6, 0.8, 0.875, 0.9, 0.95, 0.965, 1.0]),
    crop_mode=st.sampled_from(["center", "border", "squash"]),
)
def test_roundings_are_those_of_timm(timm, size, target, square, crop_fraction, crop_mode):
    target = (target[0], target[0]) if square else target
    prepare = preprocessing(
        target, crop_fraction=crop_fraction, crop_mode=crop_mode, interpolation="bilinear"
    )
    try:
        prepare.evaluate(picture(*size))
        vanished = False
    except InputError:
        vanished = True
    if vanished:  # A side shrank to nothing; Pillow refuses it in timm too.
        assert crop_mode == "border"
        with pytest.raises(ValueError, match="must be > 0"):
            assert_equals_timm(timm, picture(*size), prepare)
    else:
        assert_equals_timm(timm, picture(*size), prepare)


@pytest.mark.data
def test_photographs_from_the_file_on_equal_timm(timm, data_dir):
    prepare = preprocessing((518, 518), crop_fraction=1.0)
    transform = timm.data.create_transform(
        (3, 518, 518), interpolation="bicubic", crop_pct=1.0, mean=MEAN, std=STD
    )
    for path in sorted((data_dir / "images").iterdir())[:6]:
        with Image.open(path) as image:
            expected = transform(image.convert("RGB")).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(prepare.evaluate(read(path)).pixels, expected, rtol=0, atol=1e-6)


# ---- keep_aspect and exact --------------------------------------------------------------------


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    patch_size=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    short_side=st.integers(1, 64),
)
def test_keep_aspect_sides_are_the_nearest_multiples(size, patch_size, short_side):
    prepared = preprocessing().keep_aspect(picture(*size), short_side, patch_size=patch_size)
    scale = short_side / min(size)
    for side, patch, length in zip(size, patch_size, prepared.image.shape[:2], strict=True):
        assert length % patch == 0
        assert length >= patch
        assert abs(length - side * scale) <= patch / 2 + 1e-9 or length == patch
    assert prepared.geometry.box == (0, 0, *size)


def test_keep_aspect_takes_the_side_of_the_release_by_default():
    prepared = preprocessing((224, 280)).keep_aspect(picture(300, 450), patch_size=(14, 14))
    assert prepared.image.shape == (224, 336, 3)


def test_keep_aspect_resizes_as_pillow_does():
    image = picture(60, 90)
    expected = Image.fromarray(image).resize((48, 32), Image.Resampling.BICUBIC)
    prepared = preprocessing().keep_aspect(image, 32, patch_size=(8, 8))
    np.testing.assert_array_equal(prepared.image, expected)
    back = preprocessing().restore(prepared.pixels)
    np.testing.assert_array_equal(back, expected)


def test_exact_keeps_the_pixels_and_cuts_the_rest():
    image = picture(37, 50)
    prepared = preprocessing().exact(image, (8, 16))
    np.testing.assert_array_equal(prepared.image, image[:32, :48])
    assert prepared.geometry.box == (0, 0, 32, 48)
    assert prepared.geometry.original_size == (37, 50)


@pytest.mark.parametrize("size", [(1, 1), (13, 100), (100, 13)])
def test_exact_refuses_less_than_a_patch(size):
    with pytest.raises(InputError, match=r"at least 14 x 14 pixels .*Received: \d+ x \d+"):
        preprocessing().exact(picture(*size), (14, 14))


# ---- normalisation ----------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [(MEAN, STD), ((0.5,) * 3, (0.5,) * 3), ((0,) * 3, (1,) * 3)])
def test_restore_undoes_the_normalisation_of_every_value(numbers):
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    prepare = preprocessing((16, 16), mean=numbers[0], std=numbers[1], crop_fraction=1.0)
    prepared = prepare.evaluate(values)
    np.testing.assert_array_equal(prepare.restore(prepared.pixels), values)
    np.testing.assert_array_equal(prepare.restore(prepared.pixels[None])[0], values)


def test_restore_cuts_off_what_no_picture_shows():
    assert (preprocessing().restore(np.full((2, 2, 3), 99.0)) == 255).all()
    assert (preprocessing().restore(np.full((2, 2, 3), -99.0)) == 0).all()


# ---- the record -------------------------------------------------------------------------------


def test_the_record_survives_json_and_toml():
    prepare = preprocessing((96, 160), crop_mode="squash", interpolation="lanczos")
    record = prepare.to_dict()
    assert Preprocessing.from_dict(json.loads(json.dumps(record))) == prepare
    toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in record.items())
    assert Preprocessing.from_dict(tomllib.loads(toml)) == prepare
    assert hash(Preprocessing.from_dict(record)) == hash(prepare)


@pytest.mark.parametrize("key", ["image_size", "crop_fraction", "crop_mode", "mean", "std"])
def test_a_missing_key_is_named(key):
    record = preprocessing().to_dict()
    del record[key]
    with pytest.raises(UsageError, match=rf"missing keys \['{key}'\]"):
        Preprocessing.from_dict(record)


def test_unknown_keys_are_named():
    with pytest.raises(UsageError, match=r"unknown keys \['crop_pct', 'size'\]"):
        Preprocessing.from_dict({**preprocessing().to_dict(), "size": 3, "crop_pct": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", (0, 224)),
        ("image_size", 224),
        ("image_size", (224, 224, 3)),
        ("image_size", (224.5, 224)),
        ("crop_fraction", 0.0),
        ("crop_fraction", 1.01),
        ("crop_fraction", None),
        ("crop_mode", "centre"),
        ("interpolation", "cubic"),
        ("interpolation", None),
        ("mean", (0.5, 0.5)),
        ("mean", "abc"),
        ("std", (0.5, 0.0, 0.5)),
        ("std", (0.5, float("nan"), 0.5)),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(UsageError, match=rf"{name}.*Received: ") as caught:
        preprocessing(**{name: value})
    assert "\n" not in str(caught.value)


# ---- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        "a.png",
    ],
    ids=str,
)
def test_only_pictures_are_prepared(image):
    prepare = preprocessing()
    for method in (
        prepare.evaluate,
        lambda image: prepare.exact(image, (2, 2)),
        lambda image: prepare.keep_aspect(image, patch_size=(2, 2)),
    ):
        with pytest.raises(UsageError, match=r"uint8 array \(H, W, 3\)"):
            method(image)


@pytest.mark.parametrize("options", [{"short_side": 0}, {"patch_size": (0, 8)}, {"patch_size": 8}])
def test_sizes_below_one_are_refused(options):
    with pytest.raises(UsageError, match="at least 1"):
        preprocessing().keep_aspect(picture(4, 4), **{"patch_size": (2, 2), **options})


@pytest.mark.parametrize("size", [(1, 50_000), (50_000, 1)])
def test_extreme_aspects_fail_fast_instead_of_filling_the_memory(size):
    image = np.zeros((*size, 3), np.uint8)
    for mode in ("center", "border"):
        with pytest.raises(InputError, match="narrow"):
            preprocessing(crop_mode=mode).evaluate(image)
    with pytest.raises(InputError, match="narrow"):
        preprocessing().keep_aspect(image, patch_size=(16, 16))
    assert preprocessing(crop_mode="squash").evaluate(image).image.shape == (224, 224, 3)


def test_a_model_of_one_channel_sees_the_luminance():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    grey = Preprocessing((32, 32), mean=(0.5,), std=(0.25,))
    colour = Preprocessing((32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
    prepared = grey.evaluate(image)
    seen = np.asarray(Image.fromarray(colour.evaluate(image).image).convert("L"))
    assert prepared.pixels.shape == (32, 32, 1)
    np.testing.assert_allclose(prepared.pixels[..., 0], (seen / 255 - 0.5) / 0.25, atol=1e-6)
    assert (prepared.image == seen[..., None]).all()
    both = Preprocessing((32, 32), mean=(0.5,), std=(0.25,) * 3)
    assert both.evaluate(image).pixels.shape == (32, 32, 3)


def test_a_record_may_hold_a_preprocessing_and_be_saved(tmp_path):
    import kerasvit
    from kerasvit.images.records import recorded_preprocessing

    model = kerasvit.create_model("vit_nano_patch4_32", num_layers=1, attention="none")
    preprocessing = Preprocessing((32, 32), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    model.record["preprocessing"] = preprocessing
    assert recorded_preprocessing(model.record, "it") == preprocessing
    model.save(tmp_path / "model.keras")
    loaded = kerasvit.from_pretrained(tmp_path / "model.keras")
    assert recorded_preprocessing(loaded.record, "it") == preprocessing
