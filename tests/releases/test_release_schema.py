"""The reader of release records is strict, and says what is wrong and where."""

import re

import pytest

from kerasvit import releases
from kerasvit.errors import InputError
from kerasvit.releases.schema import parse_releases

RECORD = """
[preprocessing.small]
image_size = [32, 48]
crop_fraction = 0.9
crop_mode = "center"
interpolation = "bicubic"
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
[releases.mine]
model = "vit_tiny"
layout = "dino"
preprocessing = "small"
num_classes = 7
num_parameters = 99
url = "https://example.org/mine.pth"
"""


def test_a_record_is_read_with_defaults_and_types():
    text = '[defaults]\nlicence = "mit"\n' + RECORD + "overrides = { image_shape = [64, 96, 3] }\n"
    (release,) = parse_releases(text, "mine.toml")
    assert release.licence == "mit"
    assert release.overrides == {"image_shape": (64, 96, 3), "num_classes": 7}
    assert release.preprocessing["image_size"] == (32, 48)
    assert hash(release) == hash(parse_releases(text, "mine.toml")[0])
    (release,) = parse_releases(RECORD, "mine.toml")
    assert release.overrides == {"image_shape": (32, 48, 3), "num_classes": 7}


@pytest.mark.parametrize("key", ["model", "layout", "preprocessing", "num_classes"])
def test_a_missing_key_is_named(key):
    text = re.sub(rf"^{key} = .*\n", "", RECORD, flags=re.MULTILINE)
    with pytest.raises(InputError, match=rf"'mine.toml', record 'mine': .*'{key}' is missing"):
        parse_releases(text, "mine.toml")


@pytest.mark.parametrize(
    "key", ["image_size", "crop_fraction", "crop_mode", "interpolation", "mean", "std"]
)
def test_an_incomplete_profile_is_named(key):
    text = re.sub(rf"^{key} = .*\n", "", RECORD, flags=re.MULTILINE)
    with pytest.raises(InputError, match=rf"record 'preprocessing.small': .*'{key}' is missing"):
        parse_releases(text, "mine.toml")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("num_classes = 7", "num_clases = 7", "unknown key 'num_clases'"),
        ("num_classes = 7", "num_classes = -1", "num_classes must be a count"),
        ("num_classes = 7", "num_classes = true", "num_classes must be a count"),
        ("num_parameters = 99", "", "'num_parameters' is missing"),
        ("num_parameters = 99", "num_parameters = 0", "num_parameters must be a positive"),
        ('layout = "dino"', 'layout = "dyno"', "layout must be one of"),
        ('model = "vit_tiny"', 'model = "ViT/tiny"', "model must be"),
        ('url = "https://example.org/mine.pth"', "", "the source must be"),
        ("https://example.org", "http://example.org", "url must be an https address"),
        ('url = "', 'embedded = true\nurl = "', "embedded alone"),
        ('url = "', 'hub = "a/b"\nurl = "', "url_layout belongs"),
        ('url = "', 'hub_filename = "x"\nurl = "', "hub_filename needs hub"),
        ('url = "', 'sha256 = "abc"\nurl = "', "sha256 must be 64"),
        ('url = "', 'backbone = "other"\nurl = "', "belong together"),
        ('url = "', 'class_names = ["cat"]\nurl = "', "class_names must have"),
        ('url = "', 'overrides = { num_classes = 3 }\nurl = "', "overrides must be"),
        ('preprocessing = "small"', 'preprocessing = "big"', "one of the file's profiles: small"),
        ("crop_fraction = 0.9", "crop_fraction = 0", "crop_fraction must be"),
        ("[32, 48]", "[32]", "image_size must be"),
        ("[32, 48]", "[32.5, 48]", "image_size must be"),
        ("std = [0.25,", "std = [0.0,", "std must be"),
        ('"bicubic"', '"sinc"', "interpolation must be one of"),
        ("[releases.mine]", '[releases."my model"]', "the name must be"),
        ("[releases.mine]", "[release.mine]", "unknown key 'release'"),
        ("[releases.mine]", "[releases.mine", "not valid TOML"),
        ("[releases.mine]", "[releases]\nother = 3\n[releases.mine]", "record 'other': must be a"),
    ],
)
def test_a_wrong_record_is_refused(old, new, complaint):
    assert RECORD.count(old) == 1
    with pytest.raises(InputError, match=re.escape(complaint)) as caught:
        parse_releases(RECORD.replace(old, new), "mine.toml")
    assert "'mine.toml'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_unique_across_files_and_backbones_exist():
    other = RECORD.replace("[releases.mine]", '[releases.other]\naliases = ["mine"]')
    with pytest.raises(InputError, match="the name 'mine' is used twice"):
        releases._index({"a.toml": RECORD, "b.toml": other})
    head = "head = { blocks = 1, patch_mean = true, interleaved = false }\n"
    lost = RECORD + 'backbone = "lost"\n' + head
    with pytest.raises(InputError, match=r"backbone must be a release\. Received: 'lost'"):
        releases._index({"a.toml": lost})
