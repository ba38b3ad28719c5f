"""From what a user writes to where the weights are: without any network."""

import pathlib

import pytest

from kerasvit.conversion.sources import addresses
from kerasvit.conversion.sources.remote import find_source
from kerasvit.errors import UsageError
from kerasvit.releases import find_release, list_releases

RELEASES = [release for release in list_releases() if not release.embedded]


def test_every_release_says_where_its_weights_are():
    for release in RELEASES:
        source = find_source(release.name)
        assert source.release is release
        assert source.hub_file or addresses.is_allowed(source.url)
        assert source.model == release.model
        assert {"num_classes", "image_shape"}.isdisjoint(source.overrides)


def test_an_alias_is_the_release():
    for release in RELEASES:
        for alias in release.aliases:
            assert find_source(alias) == find_source(release.name)


def test_the_address_of_a_release_is_a_release_of_that_address():
    for release in RELEASES:
        if release.url:
            source = find_source(release.url)
            assert source.release.url == release.url
            assert source.sha256 in (None, source.release.sha256, source.release.sha256_prefix)
        if release.hub:
            assert find_source(f"hf://{release.hub}").release.hub == release.hub


def test_the_publishers_own_record_describes_its_file():
    url = find_release("dino_vits8").url
    assert find_source(url).release_name == "dino_vits8"
    assert find_source(url).overrides == {"position_resampling": "bicubic_offset"}


def test_a_usual_file_of_a_release_is_the_release_and_another_is_not():
    address = "hf://timm/deit3_small_patch16_224.fb_in22k_ft_in1k"
    name = "deit3_small_patch16_224.fb_in22k_ft_in1k"
    assert find_source(address).release_name == name
    assert find_source(f"{address}/model.safetensors").release_name == name
    assert find_source(f"{address}/other.bin").release is None
    assert find_source(f"{address}@v1").release is None


def test_sources_differ_in_identity_where_they_differ():
    identities = [repr(find_source(release.name).identity) for release in RELEASES]
    assert len(set(identities)) == len(identities)


def test_what_is_at_hand_has_no_source_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("dino_vits8").write_bytes(b"a file of that name")
    for source in ({}, tmp_path, "a.pth", "folder/a", "a.npz", "dino_vits8"):
        assert find_source(source) is None


@pytest.mark.parametrize("name", ["dino_vits8.linear", "dinov2_vits14.linear4"])
def test_a_linear_head_knows_its_backbone(name):
    release = find_release(name)
    for source in (find_source(name), find_source(release.url)):
        assert source.is_head
        assert not find_source(source.release.backbone).is_head
        source.check()


def test_a_release_of_the_package_is_no_source_of_a_conversion():
    with pytest.raises(UsageError, match="from_pretrained"):
        find_source("cait_nano_patch4_32.cifar10").open()
