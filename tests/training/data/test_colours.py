import numpy as np
import pytest
from PIL import Image

from kerasvit.training.data import colours

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def picture():
    values = RNG(0).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(values).resize((40, 30), Image.Resampling.BICUBIC)


# Of the set of timm's "inc1", with the arguments that it makes of level 9 of 10 and a plus sign.
ARGUMENTS = {
    **{"AutoContrast": (), "Equalize": (), "Invert": (), "Rotate": (27.0,)},
    **{"PosterizeIncreasing": (1,), "SolarizeIncreasing": (26,), "SolarizeAdd": (99,)},
    **{f"{name}Increasing": (1.81,) for name in ("Color", "Contrast", "Brightness", "Sharpness")},
    **{"ShearX": (0.27,), "ShearY": (0.27,), "TranslateXRel": (0.405,), "TranslateYRel": (0.405,)},
}


def test_operations_are_those_of_timms_increasing_set(timm):
    from timm.data import auto_augment

    assert set(colours.OPERATIONS) == set(auto_augment._RAND_INCREASING_TRANSFORMS)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_operation_is_timms(timm, picture, name):
    from timm.data import auto_augment

    fill = (124, 116, 104)
    ours = colours.OPERATIONS[name](picture, 0.9, 1, fill)
    options = {"fillcolor": fill, "resample": Image.Resampling.BICUBIC}
    theirs = auto_augment.NAME_TO_OP[name](picture, *ARGUMENTS[name], **options)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_magnitude_zero_of_geometry_changes_nothing(picture):
    for name in ("Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel"):
        changed = colours.OPERATIONS[name](picture, 0.0, 1, (0, 0, 0))
        np.testing.assert_array_equal(np.asarray(changed), np.asarray(picture))


def test_half_of_two_operations_apply(picture, monkeypatch):
    applied = []
    counting = dict.fromkeys(colours.OPERATIONS, lambda image, *_: applied.append(1) or image)
    monkeypatch.setattr(colours, "OPERATIONS", counting)
    for seed in range(400):
        colours.rand_augment(picture, RNG(seed), 0.9, 2)
    assert len(applied) / 800 == pytest.approx(0.5, abs=0.07)


def test_three_augment_is_one_of_three(picture):
    kinds = set()
    for seed in range(30):
        pixels = np.asarray(colours.three_augment(picture, RNG(seed))).astype(int)
        grey = (pixels == pixels[..., :1]).all()
        solarised = pixels.max() < 128
        kinds.add("grey" if grey else "solarised" if solarised else "blurred")
    assert kinds == {"grey", "solarised", "blurred"}


def test_jitter_stays_within_its_strength():
    grey = Image.new("RGB", (4, 4), (100, 100, 100))
    values = [np.asarray(colours.jitter(grey, RNG(seed), 0.3)).mean() for seed in range(200)]
    assert 69 <= min(values) < 76
    assert 124 < max(values) <= 131
