import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.saliency import explain, explain_blocks
from kerasvit.saliency.maps import attention_maps
from kerasvit.saliency.methods.rollout import class_attention_rollout, rollout


def hottest(values):
    return [np.unravel_index(image.argmax(), image.shape) for image in values]


@pytest.mark.parametrize(
    ("method", "class_layers"),
    [("attention", 0), ("attention", 2), ("rollout", 0), ("class_attention_rollout", 2)],
)
def test_every_method_finds_the_bright_patch_of_each_image(fakes, pixels, method, class_layers):
    model = fakes.Model(num_class_layers=class_layers)
    result = explain(model, pixels, method)
    assert result.values.shape == (2, 3, 5)
    assert result.values.dtype == np.float32
    assert hottest(result.values) == [(1, 2), (2, 0)]
    transposed = explain(model, pixels.transpose(0, 2, 1, 3), method)
    assert transposed.values.shape == (2, 5, 3)
    assert hottest(transposed.values) == [(2, 1), (0, 2)]


def test_a_vit_is_asked_for_the_class_rows_of_its_last_block_only(fakes, pixels):
    model = fakes.Model(num_layers=12)
    result = explain(model, pixels)
    assert model.log == [("cls", [11], 2)]
    assert result.layers == ("sa_ffn_block_11_att",)
    assert result.stage == "sa"
    full = model(pixels)[1]["sa_ffn_block_11_att"]
    expected = attention_maps(full, result.layout).mean(axis=1)
    np.testing.assert_allclose(result.values, expected, rtol=1e-6)


def test_a_cait_shows_its_first_block_of_class_attention(fakes, pixels):
    model = fakes.Model(num_class_layers=2)
    result = explain(model, pixels)
    assert model.log == [("cls", None, 2)]
    assert result.layers == ("ca_ffn_block_00_att",)
    assert result.stage == "ca"
    assert result.layout.prefix == ("class",)
    second = explain(model, pixels, layer="last")
    assert second.layers == ("ca_ffn_block_01_att",)
    assert np.abs(second.values - result.values).max() > 1e-4


def test_a_patch_query_asks_for_all_rows_of_one_block(fakes, pixels):
    model = fakes.Model(num_layers=12)
    result = explain(model, pixels, query=(1, 2), layer=3, heads="all")
    assert model.log == [("full", [3], 2)]
    full = model(pixels)[1]["sa_ffn_block_03_att"]
    np.testing.assert_array_equal(result.values, attention_maps(full, result.layout, (1, 2)))
    assert result.query == (1, 2)


def test_the_mode_of_the_model_does_not_matter(fakes, pixels):
    model = fakes.Model()
    silent = model.with_attention("none")
    np.testing.assert_array_equal(explain(silent, pixels).values, explain(model, pixels).values)
    assert silent.mode == "none"


@pytest.mark.parametrize("method", ["attention", "rollout"])
def test_batches_do_not_change_the_result(fakes, pixels, method):
    model = fakes.Model()
    images = np.concatenate([pixels, pixels[::-1], pixels[:1]])
    whole = explain(model, images, method, batch_size=5)
    model.log.clear()
    parts = explain(model, images, method, batch_size=2)
    assert [count for *_, count in model.log] == [2, 2, 1]
    np.testing.assert_allclose(parts.values, whole.values, rtol=1e-6)
    np.testing.assert_array_equal(parts.logits, whole.logits)
    assert parts.logits.shape == (5, 2)


def test_heads_can_be_kept_fused_or_chosen(fakes, pixels):
    model = fakes.Model(num_heads=5)
    every = explain(model, pixels, heads="all")
    assert every.values.shape == (2, 5, 3, 5)
    for heads in ("mean", "max", "min", 3, [0, 4]):
        expected = every.fuse(heads)
        found = explain(model, pixels, heads=heads)
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.heads == expected.heads == heads


def test_rollout_is_that_of_all_blocks_and_says_so(fakes, pixels):
    model = fakes.Model(num_layers=4)
    result = explain(model, pixels, "rollout", heads="max", discard=0.5, start_layer=1)
    scores = model(pixels)[1]
    expected = rollout(scores, result.layout, fusion="max", discard=0.5, start_layer=1)
    np.testing.assert_array_equal(result.values, expected)
    assert result.settings == {"discard": 0.5, "start_layer": 1, "signed": "reject"}
    assert result.layers == tuple(f"sa_ffn_block_{i:02d}_att" for i in (1, 2, 3))
    assert (result.method, result.heads, result.stage) == ("rollout", "max", "sa")


def test_cait_is_rolled_out_before_the_head_mixing_unless_told_how(fakes, pixels):
    model = fakes.Model(num_class_layers=2)
    layout = model.token_layout((12, 20))
    result = explain(model, pixels, "class_attention_rollout")
    _, before, ca = model.with_attention("full", scores_before_mixing=True)(pixels)
    np.testing.assert_array_equal(result.values, class_attention_rollout(before, ca, layout))
    _, after, _ = model(pixels)
    told = explain(model, pixels, "class_attention_rollout", signed="positive")
    expected = class_attention_rollout(after, ca, layout, signed="positive")
    np.testing.assert_array_equal(told.values, expected)
    assert result.stage == "sa+ca"
    assert result.layers[-1] == "ca_ffn_block_01_att"
    patch = explain(model, pixels, "rollout", query=(1, 2))
    np.testing.assert_array_equal(patch.values, rollout(before, layout, (1, 2)))
    assert not any(name.startswith("ca") for name in patch.layers)


def test_rollout_from_the_class_token_of_cait_goes_through_both_stages(fakes, pixels):
    model = fakes.Model(num_class_layers=2)
    both = explain(model, pixels, "class_attention_rollout", heads="max", start_layer=1)
    found = explain(model, pixels, "rollout", heads="max", start_layer=1)
    np.testing.assert_array_equal(found.values, both.values)
    assert found.stage == "sa+ca"


def test_many_blocks_come_from_one_run(fakes, pixels):
    model = fakes.Model(num_layers=11)
    blocks = explain_blocks(model, pixels, ["last", 2, 0, -1])
    assert model.log == [("cls", [0, 2, 10], 2)]
    assert list(blocks) == [f"sa_ffn_block_{i:02d}_att" for i in (0, 2, 10)]
    for layer, (name, block) in zip((0, 2, 10), blocks.items(), strict=True):
        assert block.layers == (name,)
        assert block.heads == "all"
        expected = explain(model, pixels, layer=layer).values
        np.testing.assert_array_equal(block.fuse("mean").values, expected)
    assert len(explain_blocks(model, pixels, "all")) == 11


def test_the_standard_blocks_are_all_class_attention_or_the_last_self_attention(fakes, pixels):
    cait = explain_blocks(fakes.Model(num_class_layers=2), pixels)
    assert list(cait) == ["ca_ffn_block_00_att", "ca_ffn_block_01_att"]
    vit = explain_blocks(fakes.Model(num_layers=3), pixels)
    assert list(vit) == ["sa_ffn_block_02_att"]


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_any_prefix_fits(fakes, pixels, prefix):
    model = fakes.Model(prefix=fakes.PREFIXES[prefix])
    result = explain(model, pixels, query="mean")
    assert model.log == [("cls" if prefix else "full", [2], 2)]
    assert hottest(result.values) == [(1, 2), (2, 0)]
    # Also of a model that returns its two heads' logits apart.
    assert result.logits.shape == (2, 2)


def test_geometries_are_kept_and_place_the_map_on_the_photograph(fakes, pixels):
    geometries = [Geometry((30, 60), (0, 5, 30, 55), (12, 20))] * 2
    result = explain(fakes.Model(), pixels, geometries=geometries)
    placed = result.place(0, interpolation="nearest")
    assert placed.shape == (30, 60)
    assert np.isnan(placed[:, :5]).all()
    assert np.isnan(placed[:, 55:]).all()
    hot = np.argwhere(placed == result.values[0].max())
    # Row 1 of 3 over 30 pixels, column 2 of 5 over the 50 pixels from column 5.
    assert hot.min(axis=0).tolist() == [10, 25]
    assert hot.max(axis=0).tolist() == [19, 34]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"method": "gradcem"}, "'attention', 'rollout', 'class_attention_rollout'"),
        ({"layer": 3}, "sa_ffn_block_02_att"),
        ({"heads": 2}, "from 0 to 1"),
        ({"query": "distillation"}, "'class', 'mean'"),
        ({"stage": "ca"}, "Choose 'sa'"),
        ({"discard": 0.5}, "discard"),
        ({"batch_size": 0}, "batch_size"),
        ({"method": "rollout", "layer": 1}, "all blocks"),
        ({"method": "rollout", "discards": 0.5}, "discard, start_layer, signed"),
        ({"method": "class_attention_rollout"}, "class attention"),
    ],
)
def test_what_a_vit_lacks_is_refused_with_what_it_has(fakes, pixels, arguments, match):
    model = fakes.Model()
    with pytest.raises(UsageError, match=match) as caught:
        explain(model, pixels, **arguments)
    assert "\n" not in str(caught.value)


def test_the_self_attention_of_cait_has_no_class_token_to_ask(fakes, pixels):
    model = fakes.Model(num_class_layers=2)
    with pytest.raises(UsageError, match=r"Choose 'mean', 'patches' or a patch \(row, column\)"):
        explain(model, pixels, stage="sa")
    with pytest.raises(UsageError, match="Class attention has no others"):
        explain(model, pixels, query=(1, 2))
    assert explain(model, pixels, stage="sa", query=(1, 2)).values.shape == (2, 3, 5)


def test_wrong_input_is_refused_before_the_model_runs(fakes, pixels):
    model = fakes.Model()
    with pytest.raises(InputError, match=r"pixels\[None\]"):
        explain(model, pixels[0])
    with pytest.raises(InputError, match="at least one image"):
        explain(model, pixels[:0])
    with pytest.raises(InputError, match="one geometry for each image"):
        explain(model, pixels, geometries=[])
    assert model.log == []


def test_a_model_that_gives_nan_is_refused(fakes, pixels):
    pixels[1, 0, 0, 0] = np.nan
    for method in ("attention", "rollout"):
        with pytest.raises(InputError, match="finite"):
            explain(fakes.Model(), pixels, method)


@pytest.mark.parametrize("method", ["attention", "rollout", "relevance", "legrad", "gradcam"])
def test_the_mean_patch_of_cait_is_explained_by_what_reaches_it(method):
    sizes = {"image_shape": (16, 24, 3), "patch_size": 8, "num_classes": 3, "hidden_dim": 12}
    sizes |= {"num_layers": 2, "num_heads": 3, "mlp_dim": 16, "layer_scale_init_value": 0.5}
    model = kerasvit.CaiT(**sizes, pooling="avg")
    pixels = np.random.default_rng(0).normal(size=(2, 16, 24, 3)).astype(np.float32)
    result = explain(model, pixels, method=method)
    assert (result.values.shape, result.stage) == ((2, 2, 3), "sa")
    assert np.abs(result.values).max() > 0
    with pytest.raises(UsageError, match="no such stage"):
        explain(model, pixels, method=method, stage="ca")
    with pytest.raises(UsageError, match="every token"):
        explain(kerasvit.CaiT(**sizes, pooling="none"), pixels, method=method)
