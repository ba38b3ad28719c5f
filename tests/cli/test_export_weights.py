"""`kerasvit export-weights` and `kerasvit verify`: to PyTorch and back, and the report of it."""

import numpy as np
import pytest

import kerasvit
from kerasvit.conversion import convert, export_weights

NAME = "vit_small_patch16_224"
SIZES = {"hidden_dim": 24, "num_layers": 2, "num_heads": 3, "mlp_dim": 96}


@pytest.fixture
def source(tmp_path):
    """A checkpoint of a small ViT in timm's names."""
    model = kerasvit.create_model(NAME, image_shape=(48, 48, 3), num_classes=5, **SIZES)
    return export_weights(model, tmp_path / "source.safetensors")


@pytest.fixture
def converted(source, tmp_path):
    path = tmp_path / "out.keras"
    convert(source, path, NAME, verify=False, **SIZES)
    return path


def test_the_way_back_gives_the_file_again(run, source, converted, tmp_path):
    back = tmp_path / "back.safetensors"
    result = run("export-weights", converted, "-o", back)
    assert result.code == 0, result.err
    assert result.out.strip() == str(back)
    assert "timm.create_model('vit_small_patch16_224', num_classes=5" in result.err
    assert back.read_bytes() == source.read_bytes()


def test_what_cannot_be_exported_is_told_in_a_line(run, one_line, converted, tmp_path):
    old = converted.read_bytes()
    for arguments, code, words in (
        (["-o", tmp_path / "a.h5"], 2, ".safetensors"),
        (["-o", tmp_path / "a.pth", "--layout", "cait"], 2, "CaiT alone"),
        (["-o", tmp_path / "a.pth", "--layout", "unknown"], 2, "timm, dino"),
        (["-o", tmp_path / "none" / "a.pth"], 5, "does not exist"),
    ):
        result = run("export-weights", converted, *arguments)
        assert result.code == code, result.err
        one_line(result.err.splitlines()[-1], words)
    assert converted.read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.keras", "source.safetensors"]


def test_an_existing_export_is_kept(run, one_line, converted, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    result = run("export-weights", converted, "-o", path)
    assert result.code == 5
    one_line(result.err.splitlines()[-1], "exists")
    assert path.read_bytes() == b"old"
    assert run("export-weights", converted, "-o", path, "--overwrite").code == 0
    assert path.read_bytes() != b"old"


def test_the_report_has_a_row_for_each_map(run, source, converted):
    result = run("verify", converted, source)
    assert result.code == 0, result.err
    header, *rows = result.out.splitlines()
    assert header.split() == ["stage", "map", "difference", "bar"]
    assert [row.split()[-4] for row in rows] == [
        "logits",
        "features",
        "sa_ffn_block_00_att",
        "sa_ffn_block_01_att",
        "argmax",
    ]
    assert all(row.endswith("ok") for row in rows)


def test_a_changed_weight_fails_the_maps_after_it(run, one_line, source, converted):
    model = kerasvit.from_pretrained(converted)
    kernel = model.blocks[1].attention.qkv.kernel
    random = np.random.default_rng(0)
    kernel.assign_add(random.normal(0, 0.1, kernel.shape).astype("float32"))
    model.save(converted)
    result = run("verify", converted, source)
    assert result.code == 3
    rows = {row.split()[-4]: row.split()[-1] for row in result.out.splitlines()[1:]}
    assert rows["sa_ffn_block_00_att"] == "ok"
    assert rows["sa_ffn_block_01_att"] == "FAIL"
    one_line(result.err.splitlines()[-1], "out.keras", "sa_ffn_block_01_att")


def test_a_source_of_another_model_is_told_in_a_line(run, one_line, converted, tmp_path):
    other = {**SIZES, "num_layers": 3}
    model = kerasvit.create_model(NAME, image_shape=(48, 48, 3), num_classes=5, **other)
    wrong = export_weights(model, tmp_path / "wrong.safetensors")
    result = run("verify", converted, wrong)
    assert result.code == 3
    one_line(result.err.splitlines()[-1], "wrong.safetensors", "left over")
    model = kerasvit.create_model(NAME, image_shape=(48, 48, 3), num_classes=7, **SIZES)
    result = run("verify", converted, export_weights(model, wrong, overwrite=True))
    assert result.code == 3
    one_line(result.err.splitlines()[-1], "5 classes")
