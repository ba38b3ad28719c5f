"""The release records: complete, unambiguous, equal to timm's registry, and read strictly."""

import importlib.resources
import re
import tomllib

import pytest

from kerasvit import releases
from kerasvit.conversion import registry_records
from kerasvit.errors import UsageError
from kerasvit.models import factory

RELEASES = releases.load_releases()
PREPROCESSING_KEYS = ["image_size", "crop_fraction", "crop_mode", "interpolation", "mean", "std"]
GENERATED = ("vit.toml", "deit.toml", "cait.toml", "eva.toml", "beit.toml", "xcit.toml")
HAND_KEPT = (
    *("dino.toml", "dino_xcit.toml", "dinov2.toml", "dinov3.toml"),
    *("originals.toml", "cifar10.toml"),
)


def text_of(file):
    return (importlib.resources.files("kerasvit.configs") / file).read_text(encoding="utf-8")


def names_in(file):
    return list(tomllib.loads(text_of(file))["releases"])


def test_each_file_has_records_and_the_catalogue_has_all_of_them():
    assert sorted(releases.FILES) == sorted((*GENERATED, *HAND_KEPT))
    names = [names_in(file) for file in releases.FILES]
    assert all(names)
    assert sorted(name for file in names for name in file) == sorted(RELEASES)


@pytest.mark.parametrize("layout", ["dino", "dinov2"])
def test_each_backbone_of_a_publisher_has_its_linear_heads(layout):
    """DINO published one for each of its ViTs trained to the end, DINOv2 two for each."""
    backbones = {name for name, release in RELEASES.items() if release.layout == layout}
    heads = [release for release in RELEASES.values() if release.layout == f"{layout}_linear"]
    assert {release.backbone for release in heads} <= backbones
    if layout == "dinov2":
        assert {release.backbone for release in heads} == backbones
        assert all(
            sorted(r.head["blocks"] for r in heads if r.backbone == backbone) == [1, 4]
            for backbone in backbones
        )


def test_each_cait_of_the_paper_is_there_from_its_authors_and_from_timm(timm):
    by_authors = {r.model for r in RELEASES.values() if r.layout == "cait"}
    assert by_authors == set(timm.list_models(module="cait"))


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_has_a_source_a_model_and_a_complete_preprocessing(name):
    release = RELEASES[name]
    assert bool(release.hub or release.url) != release.embedded
    assert re.fullmatch(r"[a-z0-9_]+", release.model)
    assert sorted(release.preprocessing) == sorted(PREPROCESSING_KEYS)
    assert len(release.preprocessing["image_size"]) == 2
    assert release.overrides["num_classes"] == release.num_classes
    height, width, channels = release.overrides["image_shape"]
    assert min(height, width) > 0
    assert channels == 3
    assert release.num_parameters is None or release.num_parameters > 10**5
    assert (release.num_parameters is None) <= release.embedded
    assert (release.classes is not None) <= (release.num_classes > 0)


def test_no_two_releases_share_a_name_or_alias_or_address():
    names = [name for release in RELEASES.values() for name in (release.name, *release.aliases)]
    assert len(names) == len(set(names))
    assert not any(a.lower() == b.lower() for a in RELEASES for b in RELEASES if a != b)
    own = [r.url for name in HAND_KEPT for r in map(RELEASES.get, names_in(name)) if r.url]
    assert len(own) == len(set(own))


def test_every_profile_is_used():
    for file in releases.FILES:
        tables = tomllib.loads(text_of(file))
        default = tables.get("defaults", {}).get("preprocessing")
        used = {record.get("preprocessing", default) for record in tables["releases"].values()}
        assert used == set(tables["preprocessing"])


@pytest.mark.parametrize("file", GENERATED)
def test_generated_files_are_what_timm_says_now(timm, file):
    def recorded(name):
        return RELEASES[name].num_parameters

    assert registry_records.file_text(file, timm, count=recorded) == text_of(file)
    module = registry_records.MODULES[file]
    assert names_in(file) == timm.list_models(module=module, pretrained=True)


# All of them take a minute and a half: `python -m kerasvit.conversion.registry_records --check`.
@pytest.mark.parametrize("name", [n for file in GENERATED for n in names_in(file)[::16]])
def test_parameters_are_counted_right(timm, name):
    import torch

    with torch.device("meta"):
        model = timm.create_model(name)
    height, width, _ = RELEASES[name].overrides["image_shape"]
    assert sum(p.numel() for p in model.parameters()) == RELEASES[name].num_parameters
    assert model.num_classes == RELEASES[name].num_classes
    # XCiT's constructor is not told the size, which nothing in it depends on.
    is_xcit = name.startswith("xcit")
    size = model.pretrained_cfg["input_size"][1:] if is_xcit else model.patch_embed.img_size
    assert tuple(size) == (height, width)


@pytest.mark.parametrize("name", names_in("dino_xcit.toml"))
def test_dinos_xcits_are_timms_with_another_head(name):
    release = RELEASES[name]
    (twin,) = {r.num_parameters for r in RELEASES.values() if r.hub and r.model == release.model}
    width = factory.variant(release.model)[1]["hidden_dim"]
    head = 1000 * width + 1000
    assert release.num_parameters == twin - (0 if release.head else head)
    assert release.head in (None, {"blocks": 1, "patch_mean": False, "interleaved": False})


@pytest.mark.parametrize(
    "name",
    [
        name
        for file in HAND_KEPT
        for name in names_in(file)
        if RELEASES[name].url and file != "dino_xcit.toml"
    ],
)
def test_hand_kept_records_agree_with_timms_model(name):
    release = RELEASES[name]
    twins = {
        twin.num_parameters
        for file in GENERATED
        for twin in map(RELEASES.get, names_in(file))
        if twin.model == release.model
        and twin.overrides["image_shape"] == release.overrides["image_shape"]
        and twin.num_classes == (0 if release.head else release.num_classes)
    }
    expected = release.num_parameters
    if release.head:
        width = {"small": 384, "base": 768, "large": 1024, "giant": 1536}[
            release.model.split("_")[1]
        ]
        features = (release.head["blocks"] + release.head["patch_mean"]) * width
        expected -= features * release.num_classes + release.num_classes
    # timm has no name for DINOv3's ViT-L+.
    assert twins == ({expected} if "_large_plus_" not in release.model else set())


@pytest.mark.parametrize("name", [n for n, release in RELEASES.items() if release.backbone])
def test_a_linear_head_fits_its_backbone(name):
    release, backbone = RELEASES[name], RELEASES[RELEASES[name].backbone]
    assert release.url.rpartition("/")[0] == backbone.url.rpartition("/")[0]
    assert release.model == backbone.model
    assert release.preprocessing == backbone.preprocessing
    assert backbone.num_classes == 0
    assert release.num_classes == 1000
    assert release.layout == f"{backbone.layout}_linear"


def test_preprocessing_known_by_heart(timm):
    config = timm.models.get_pretrained_cfg("vit_base_patch16_224.augreg2_in21k_ft_in1k")
    assert (config.crop_pct, config.mean, config.interpolation) == (0.9, (0.5, 0.5, 0.5), "bicubic")
    assert RELEASES["vit_base_patch16_224.augreg2_in21k_ft_in1k"].preprocessing == {
        "image_size": (224, 224),
        "crop_fraction": 0.9,
        "crop_mode": "center",
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
    }
    assert RELEASES["eva_large_patch14_336.in22k_ft_in1k"].preprocessing == {
        "image_size": (336, 336),
        "crop_fraction": 1.0,
        "crop_mode": "squash",
        "interpolation": "bicubic",
        "mean": timm.data.OPENAI_CLIP_MEAN,
        "std": timm.data.OPENAI_CLIP_STD,
    }


@pytest.mark.parametrize(
    ("name", "image_size", "crop"),
    [
        ("dino_vits8", 224, 0.875),
        ("dinov2_vitg14_reg", 224, 0.875),
        ("deit_base_patch16_384.original", 384, 0.875),
        ("deit_3_small_224_1k", 224, 1.0),
        ("cait_M48_448", 448, 1.0),
    ],
)
def test_originals_keep_their_authors_preprocessing(timm, name, image_size, crop):
    preprocessing = RELEASES[name].preprocessing
    assert preprocessing["image_size"] == (image_size, image_size)
    assert preprocessing["crop_fraction"] == crop
    assert preprocessing["mean"] == timm.data.IMAGENET_DEFAULT_MEAN
    assert preprocessing["std"] == timm.data.IMAGENET_DEFAULT_STD


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("cait_XXS24", "cait_XXS24_384"),
        ("cait_M48", "cait_M48_448"),
        ("dino_deits8", "dino_vits8"),
        ("dinov2_vits14_lc", "dinov2_vits14.linear4"),
        ("dino_deitsmall8_300ep_pretrain", "dino_vits8_300ep"),
        ("dino_vits8", "dino_vits8"),
    ],
)
def test_upstream_names_are_found(alias, name):
    assert releases.find_release(alias) is RELEASES[name]


def test_a_hash_prefix_stands_in_the_file_name():
    prefixed = [release for release in RELEASES.values() if release.sha256_prefix]
    assert prefixed
    assert all(f"-{release.sha256_prefix}.pth" in release.url for release in prefixed)


@pytest.mark.parametrize(
    ("wrong", "offered"),
    [
        ("cait_xxs24_224", "cait_xxs24_224.fb_dist_in1k"),
        ("dino_vit8", "dino_vits8"),
        ("dinov2_vits14reg", "dinov2_vits14_reg"),
    ],
)
def test_an_unknown_name_offers_the_nearest(wrong, offered):
    with pytest.raises(UsageError, match=re.escape(repr(offered))) as caught:
        releases.find_release(wrong)
    assert repr(wrong) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_listing_matches_names_and_aliases():
    assert [release.name for release in releases.list_releases("cait_XXS24")] == ["cait_XXS24_384"]
    found = releases.list_releases("cait_*.fb_dist_in1k")
    assert [release.name for release in found] == names_in("cait.toml")
    assert len(releases.list_releases()) == len(RELEASES)
    assert releases.list_releases("nothing*") == []


def test_a_caller_cannot_change_the_catalogue():
    releases.load_releases().clear()
    assert releases.load_releases() == RELEASES


def test_check_reports_a_stale_file_and_writes_nothing(timm, monkeypatch, capsys):
    monkeypatch.setattr(registry_records, "MODULES", {"cait.toml": "cait"})
    monkeypatch.setattr(registry_records, "count_parameters", lambda timm, name: 1)
    before = text_of("cait.toml")
    assert registry_records.main(["--check"]) == 1
    assert "cait.toml: differs" in capsys.readouterr().out
    assert text_of("cait.toml") == before
