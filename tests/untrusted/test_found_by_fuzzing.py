"""What `python tests/fuzzing` found, one test for each kind of fault."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from kerasvit.conversion.facts.beside import read_configs
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.sources.addresses import is_allowed
from kerasvit.errors import InputError, KerasViTError, UsageError
from kerasvit.layout import TokenLayout
from kerasvit.look.records.manifest import FORMAT
from kerasvit.look.records.merging import merge_manifests
from kerasvit.pretrained import from_pretrained, load
from kerasvit.render.video.frames import open_video
from kerasvit.saliency import SaliencyMap
from kerasvit.training.data.label_table import read_label_table
from kerasvit.training.recipe.reading import list_recipes, read_recipe

LONG = "b" * 300


@pytest.mark.parametrize("header", ["{'descr': '<f4', 'shape': (3,", "(" * 900, "-" * 9000 + "1"])
def test_an_array_with_a_header_that_is_no_literal(tmp_path, header):
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("values.npy", data)
    with pytest.raises(InputError):
        SaliencyMap.load_npz(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("layout", {"grid": [2, 3], "patch_size": [10**9, 8], "prefix": []}),
        ("layout", {"grid": [2, 3], "patch_size": [30_000, 30_000], "prefix": []}),
        ("layout", {"grid": [2, 3], "patch_size": [8, 8.5], "prefix": []}),
        ("layout", {"grid": [2, 3], "patch_size": [8, 8], "prefix": [7]}),
        ("method", 7),
        ("target", ["cat"]),
    ],
)
def test_a_saliency_map_of_other_types_or_larger_than_any(tmp_path, field, value):
    layout = TokenLayout((), (2, 3), (8, 8))
    good = SaliencyMap(np.ones((1, 2, 3), np.float32), "rollout", layout, target=(1,))
    good.save_npz(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as arrays:
        header = json.loads(str(arrays["header"]))
        if field == "layout":
            value = dataclasses.asdict(layout) | value
        text = np.array(json.dumps({**header, field: value}))
        np.savez(tmp_path / "x.npz", values=arrays["values"], header=text)
    with pytest.raises(InputError, match="is not a saliency map"):
        SaliencyMap.load_npz(tmp_path / "x.npz")


def test_values_of_a_saliency_map_are_real(tmp_path):
    layout = TokenLayout((), (2, 3), (8, 8))
    SaliencyMap(np.ones((1, 2, 3)), "rollout", layout).save_npz(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as arrays:
        np.savez(tmp_path / "x.npz", values=np.full((1, 2, 3), 1j), header=arrays["header"])
    with pytest.raises(InputError, match="real"):
        SaliencyMap.load_npz(tmp_path / "x.npz")


def test_an_animation_without_a_picture(tmp_path):
    file = io.BytesIO()
    Image.new("P", (4, 3)).save(file, "GIF")
    data = file.getvalue()
    # An unknown block where the picture was: Pillow opens it, and the walk over its blocks ends.
    place = data.index(b",", 13)
    (tmp_path / "x.gif").write_bytes(data[:place] + b";" + data[place:])
    with (
        pytest.raises(InputError, match="cannot be read"),
        open_video(tmp_path / "x.gif"),
    ):
        pass


def test_a_label_table_with_a_long_name_or_a_line_in_a_cell(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text(f"file,cat\n{LONG}.png,1\n")
    with pytest.raises(InputError, match="no file"):
        read_label_table(table, tmp_path)
    table.write_text('file,cat\n"a\nb",7\n')
    with pytest.raises(InputError) as caught:
        read_label_table(table, tmp_path)
    assert "\n" not in str(caught.value)


def _shard(number):
    facts = {"model": {"name": "vit"}, "settings": {"method": "rollout"}, "started": "2025"}
    shard = {"number": number, "own": 1, "pictures": 2, "listing": "abc"}
    return {
        "format": FORMAT,
        **facts,
        "shard": shard,
        "earlier": [],
        "pictures": [{"file": f"{number}.png"}],
    }


def _write_shards(folder, first):
    for number, content in ((1, first), (2, _shard(2))):
        (folder / f"manifest.{number}-of-2.json").write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["model", "settings", "started", "shard", "pictures", "earlier"])
@pytest.mark.parametrize("value", [None, 7, {}])
def test_manifests_of_shards_with_something_else_in_them(tmp_path, name, value):
    _write_shards(tmp_path, _shard(1))
    merge_manifests(tmp_path)
    _write_shards(tmp_path, {**_shard(1), name: value})
    with pytest.raises(KerasViTError):
        merge_manifests(tmp_path)


def test_manifests_without_a_part_of_a_shard(tmp_path):
    for name in ("own", "listing", "pictures", "number"):
        content = _shard(1)
        del content["shard"][name]
        _write_shards(tmp_path, content)
        with pytest.raises(InputError, match="damaged or no shard"):
            merge_manifests(tmp_path)


def test_an_index_that_names_a_file_with_too_long_a_name(tmp_path):
    index = tmp_path / "x.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": f"{LONG}.safetensors"}}))
    with pytest.raises(InputError, match="missing"):
        open_checkpoint(index)


@pytest.mark.parametrize("name", [f"x/{LONG}.keras", "x\0y.pth", f"{LONG}.pth", "x\0y.keras"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(KerasViTError):
        from_pretrained(name)
    with pytest.raises(InputError):
        load(name)


def test_an_archive_of_another_name_whose_list_of_members_is_damaged(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(3))
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.pth").write_bytes(data.replace(b"PK\x01\x02", b"PK\x01\x03"))
    with pytest.raises(InputError):
        from_pretrained(tmp_path / "x.pth")


def test_addresses_with_a_bracket_in_the_middle():
    assert not is_allowed("http://user:wordftp[::1]:80/x.npz")
    assert not is_allowed("https://example.org:port/x.npz")
    assert is_allowed("http://[::1]:80/x.npz")
    assert is_allowed("https://user:word@example.org:8443/x.npz")


def test_changes_of_a_recipe_that_are_deep_or_of_several_lines():
    name = list_recipes()[0]
    with pytest.raises(UsageError) as caught:
        read_recipe(name, [f"schedule{'.a' * 3000}=1"])
    assert len(str(caught.value)) < 500
    with pytest.raises(UsageError) as caught:
        read_recipe(name, ["schedule.epochs=\n#"])
    assert "\n" not in str(caught.value)


CONFIG = {
    **{"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"patch_size": 8, "image_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-6},
}
CFG = {"input_size": [3, 16, 16], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.9}
TIMM = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": CFG, "model_args": {"depth": 2}}


def _read_configs(folder, config, preprocessor=None):
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor or {}))
    return read_configs(folder / "x.pth")


@pytest.mark.parametrize("value", [[], "x", {}, float("nan"), 1e999, -3, [[1]]], ids=str)
@pytest.mark.parametrize("name", [*CONFIG][1:])
def test_configs_beside_a_checkpoint_with_values_of_other_types(tmp_path, name, value):
    _read_configs(tmp_path, CONFIG)
    if (name, value) == ("layer_norm_eps", -3):
        value = "-3x"
    with pytest.raises(InputError):
        _read_configs(tmp_path, {**CONFIG, name: value})


@pytest.mark.parametrize(
    "change",
    [
        *({"model_args": 7}, {"model_args": {"depth": "x"}}, {"model_args": {"num_heads": []}}),
        *({"pretrained_cfg": 7}, {"pretrained_cfg": {**CFG, "mean": 3}}, {"global_pool": []}),
        {"pretrained_cfg": {**CFG, "input_size": [3, "x", 16]}},
    ],
    ids=str,
)
def test_timms_config_with_values_of_other_types(tmp_path, change):
    _read_configs(tmp_path, TIMM)
    with pytest.raises(InputError):
        _read_configs(tmp_path, {**TIMM, **change})


@pytest.mark.parametrize(
    "preprocessor",
    [
        {"image_mean": 3, "image_std": [1]},
        {"image_mean": ["a"] * 3, "image_std": [1] * 3},
        {"size": {"height": "x", "width": 16}},
        {"size": {"height": 0, "width": 16}},
    ],
    ids=str,
)
def test_a_preprocessor_with_values_of_other_types(tmp_path, preprocessor):
    with pytest.raises(InputError):
        _read_configs(tmp_path, CONFIG, preprocessor)
