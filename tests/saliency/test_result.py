import dataclasses
import io
import json
import pathlib
import types

import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images import Preprocessing
from kerasvit.images.geometry import Geometry
from kerasvit.layout import TokenLayout
from kerasvit.saliency import SaliencyMap, explain

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"

LAYOUT = TokenLayout(("class", "register_0"), (3, 5), (14, 14))


def full_map(**changes):
    rng = np.random.default_rng(0)
    fields = {
        "values": rng.normal(size=(2, 4, 3, 5)).astype(np.float32),
        "method": "attention",
        "layout": LAYOUT,
        "stage": "sa",
        "layers": ("sa_ffn_block_11_att",),
        "heads": "all",
        "query": (1, 2),
        "target": (281, 285),
        "settings": {"discard": 0.5, "note": "naïve"},
        "geometries": (
            Geometry((100, 200), (0.0, 12.5, 100.0, 187.5), (42, 70)),
            Geometry((42, 70), (0.0, 0.0, 42.0, 70.0), (42, 70)),
        ),
        "logits": rng.normal(size=(2, 10)).astype(np.float32),
    }
    return SaliencyMap(**{**fields, **changes})


def assert_equal(first, second):
    for field in dataclasses.fields(SaliencyMap):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, field.name
            assert type(a) is type(b), field.name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"target": None, "geometries": None, "logits": None, "settings": {}},
        {"query": "class", "heads": [0, 2], "layers": ()},
    ],
)
def test_a_saved_map_loads_as_it_was(tmp_path, changes):
    saved = full_map(**changes)
    saved.save_npz(tmp_path / "map.npz")
    assert_equal(SaliencyMap.load_npz(tmp_path / "map.npz"), saved)


def test_numbers_of_numpy_can_be_settings(tmp_path):
    saved = full_map(heads=np.int64(2), target=(np.int64(3), np.int32(4)), query=(np.int64(0), 1))
    saved.save_npz(tmp_path / "map.npz")
    loaded = SaliencyMap.load_npz(tmp_path / "map.npz")
    assert (loaded.heads, loaded.target, loaded.query) == (2, (3, 4), (0, 1))


def test_the_file_is_plain_numpy_with_a_json_header(tmp_path):
    saved = full_map()
    saved.save_npz(tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["header", "logits", "values"]
        np.testing.assert_array_equal(file["values"], saved.values)
        header = json.loads(str(file["header"]))
    assert header["layers"] == ["sa_ffn_block_11_att"]
    assert header["settings"] == {"discard": 0.5, "note": "naïve"}


def test_equal_maps_give_equal_bytes(tmp_path):
    full_map().save_npz(tmp_path / "a.npz")
    full_map().save_npz(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(tmp_path):
    path = tmp_path / "map.npz"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        full_map().save_npz(path)
    assert path.read_bytes() == b"old"
    full_map().save_npz(path, overwrite=True)
    assert len(SaliencyMap.load_npz(path)) == 2


def test_settings_that_json_cannot_hold_leave_no_file(tmp_path):
    with pytest.raises(TypeError):
        full_map(settings={"model": object()}).save_npz(tmp_path / "map.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_anywhere_is_refused(tmp_path):
    full_map().save_npz(tmp_path / "map.npz")
    content = (tmp_path / "map.npz").read_bytes()
    cut = tmp_path / "cut.npz"
    for length in range(0, len(content), 7):
        cut.write_bytes(content[:length])
        with pytest.raises(InputError, match="is not a saliency map"):
            SaliencyMap.load_npz(cut)


def test_files_of_other_kinds_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", values=np.zeros(3))
    np.savez(
        tmp_path / "header.npz", values=np.zeros((1, 3, 5)), header=np.array('{"format": "x"}')
    )
    np.savez(tmp_path / "list.npz", values=np.zeros((1, 3, 5)), header=np.array("[1]"))
    np.savez(tmp_path / "pickle.npz", values=np.array([object()]), header=np.array("{}"))
    np.save(tmp_path / "plain.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "folder.npz").mkdir()
    for name in ("other", "header", "list", "pickle", "text", "folder", "absent"):
        path = tmp_path / f"{name}.npz"
        with pytest.raises(InputError, match="is not a saliency map") as caught:
            SaliencyMap.load_npz(path)
        assert repr(str(path)) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        SaliencyMap.load_npz(tmp_path / "plain.npy")


def test_one_image_is_chosen_with_all_that_belongs_to_it():
    whole = full_map()
    for index in (1, -1):
        one = whole.select(index)
        assert len(one) == 1
        np.testing.assert_array_equal(one.values, whole.values[1:])
        np.testing.assert_array_equal(one.logits, whole.logits[1:])
        assert one.target == (285,)
        assert one.geometries == whole.geometries[1:]
    for index in (2, -3):
        with pytest.raises(UsageError, match="no such image"):
            whole.select(index)


def test_heads_are_fused_once():
    fused = full_map().fuse("max")
    np.testing.assert_array_equal(fused.values, full_map().values.max(axis=1))
    assert fused.heads == "max"
    with pytest.raises(UsageError, match="combined already"):
        fused.fuse("mean")


def test_placing_needs_the_geometry():
    placed = full_map().place(0)
    assert placed.shape == (4, 100, 200)
    # The centre of column 12 lies on the left edge of the box, at 12.5.
    assert np.isnan(placed[..., :12]).all()
    assert np.isfinite(placed[..., 12:187]).all()
    with pytest.raises(UsageError, match="geometries"):
        full_map(geometries=None).place(0)


def test_a_flat_map_says_so():
    values, flat = full_map(values=np.full((2, 3, 5), 0.1)).normalise()
    assert flat.all()
    assert (values == 0).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.zeros((2, 5, 3))},
        {"values": np.zeros((3, 5))},
        {"target": (1,)},
        {"geometries": ()},
        {"logits": np.zeros((3, 10))},
    ],
)
def test_fields_that_do_not_fit_each_other_are_refused(changes):
    with pytest.raises(InputError, match="Received"):
        full_map(**changes)


def test_maps_are_enlarged_to_the_input_and_masked():
    found = full_map()
    large = found.upsample(interpolation="nearest")
    assert large.shape == (2, 4, 42, 70)
    np.testing.assert_array_equal(large[:, :, ::14, ::14], found.values)
    assert found.upsample((9, 9)).shape == (2, 4, 9, 9)
    smooth = found.upsample((300, 500), "bicubic")
    assert smooth.max() <= found.values.max()
    assert smooth.min() >= found.values.min()
    mask = found.mask(0.7)
    kept = np.where(mask, found.values, 0).sum(axis=(2, 3))
    total = np.maximum(found.values, 0).sum(axis=(2, 3))
    assert (kept >= 0.7 * total - 1e-6).all()
    assert not mask[found.values < 0].any()


@pytest.mark.parametrize("method", ["attention", "rise", "rollout"])
def test_maps_that_earlier_versions_saved_are_still_read(method):
    """Commit 9123adc wrote them: the shipped CaiT, a picture of 40x60 pixels, see the settings."""
    saved = SaliencyMap.load_npz(GOLDEN / f"saliency_{method}.npz")
    expected = {
        "attention": {"shape": (1, 4, 8, 12), "heads": "all", "target": None, "settings": {}},
        "rise": {
            "shape": (1, 8, 12),
            "heads": "mean",
            "target": (3,),
            "settings": {"masks": 5, "cells": 7, "kept": 0.5, "seed": 3, "baseline": "blur"},
        },
        "rollout": {
            "shape": (1, 8, 12),
            "heads": "max",
            "target": None,
            "settings": {"discard": 0.5, "start_layer": 1, "signed": "reject"},
        },
    }[method]
    assert saved.values.shape == expected["shape"]
    assert saved.method == {"rollout": "class_attention_rollout"}.get(method, method)
    for name in ("heads", "target", "settings"):
        assert getattr(saved, name) == expected[name]
    assert saved.layout.grid == (8, 12)
    assert saved.geometries[0].original_size == (40, 60)
    assert np.isfinite(saved.values).all()


def test_a_map_that_an_earlier_version_saved_is_made_again_from_its_settings(shipped):
    saved = SaliencyMap.load_npz(GOLDEN / "saliency_rollout.npz")
    again = explain(
        shipped.model,
        shipped.pixels,
        saved.method,
        heads=saved.heads,
        query=saved.query,
        **saved.settings,
    )
    scale = np.abs(saved.values).max()
    np.testing.assert_allclose(again.values, saved.values, rtol=0, atol=1e-5 * scale)
    assert again.layers == saved.layers


@pytest.fixture
def shipped():
    """The shipped CaiT, and the picture that the saved maps are of."""
    model = kerasvit.from_pretrained()
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    prepared = preprocessing.keep_aspect(image, patch_size=model.patch_size)
    return types.SimpleNamespace(model=model, pixels=prepared.pixels[None])


def test_a_figure_needs_a_path():
    from kerasvit.saliency.figures.plotting import ending_of

    with pytest.raises(UsageError, match=r"Received: BytesIO.*as_png"):
        ending_of(io.BytesIO(), ("png",))
