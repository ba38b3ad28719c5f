"""Rotary models: tables against timm's, what is turned and what is not, periods, grouped heads."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

import kerasvit
from kerasvit.layers import RotaryEmbedding, SelfAttention
from kerasvit.layers.rotary.rules import (
    RULES,
    dinov3_periods,
    named_periods,
    rotary_tables,
)
from kerasvit.saliency import explain, position_similarity

GRID = (3, 5)
SMALL = {"hidden_dim": 24, "num_layers": 2, "num_heads": 3, "mlp_dim": 20, "num_classes": 4}


def small(name, **arguments):
    patch = kerasvit.models.factory.variant(name)[1]["patch_size"]
    shape = (GRID[0] * patch, GRID[1] * patch, 3)
    model = kerasvit.create_model(name, **{"image_shape": shape, **SMALL, **arguments})
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))
    return model


def images_of(model):
    return np.random.default_rng(1).normal(size=(2, *model.image_shape)).astype("float32")


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [
        ("dinov3", {"rope_type": "dinov3", "temperature": 100.0, "rotate_half": True}),
        ("eva02", {"temperature": 10000.0, "ref_feat_shape": (16, 16)}),
        ("pe", {"temperature": 10000.0, "ref_feat_shape": (14, 14), "grid_offset": 1.0}),
        ("axial", {"temperature": 100.0}),
    ],
)
def test_tables_are_timms(timm, rule, arguments):
    import torch

    facts = {"rope_type": "cat", **arguments}
    if facts["rope_type"] == "cat":
        facts |= {"in_pixels": False, "grid_indexing": "ij" if rule == "eva02" else "xy"}
    rope = timm.layers.create_rope_embed(dim=48, num_heads=3, feat_shape=None, **facts)
    sin, cos = (part.numpy() for part in torch.chunk(rope.get_embed(shape=GRID), 2, -1))
    step = slice(0, 8) if rule == "dinov3" else slice(0, None, 2)
    reference = arguments.get("ref_feat_shape")
    offset = arguments.get("grid_offset", 0.0)
    found = rotary_tables(RULES[rule], 16, GRID, 2, reference, offset)
    for table, wanted, prefix in zip(found, (cos, sin), (1, 0), strict=True):
        assert np.all(table[:2] == prefix)
        np.testing.assert_allclose(table[2:], wanted[:, step], atol=2e-6)


def test_learned_frequencies_start_as_those_of_axial_turned():
    layer = RotaryEmbedding("mixed", 16, num_blocks=3, num_heads=2)
    layer.build()
    frequencies = to_numpy(layer.frequencies)
    lengths = np.sqrt((frequencies**2).sum(axis=0))
    wanted = 1 / 10.0 ** (np.arange(4) / 4)
    np.testing.assert_allclose(lengths, np.broadcast_to(np.tile(wanted, 2), (3, 2, 8)), rtol=1e-5)
    assert len(np.unique(frequencies[0, :, :, 0])) == 6


def test_scores_of_patches_depend_on_how_they_lie_to_each_other():
    layer = RotaryEmbedding("axial", 8)
    token = np.random.default_rng(0).normal(size=(1, 1, 1, 8)).astype("float32")
    turned = to_numpy(layer(np.repeat(token, 16, axis=2), grid=GRID))[0, 0]
    products = (turned @ turned.T)[1:, 1:].reshape(*GRID, *GRID)
    np.testing.assert_allclose(products[0, 1, 1, 3], products[1, 2, 2, 4], rtol=1e-5)
    assert abs(products[0, 1, 1, 3] - products[0, 1, 0, 3]) > 1e-3
    assert np.array_equal(turned[0], token[0, 0, 0])


def test_periods_have_names_and_a_wrong_one_is_kept_as_it_is():
    exact, rounded = (dinov3_periods(64, 100.0, name) for name in ("float32", "bfloat16"))
    assert named_periods(exact, 64) == "float32"
    assert named_periods(rounded, 64) == "bfloat16"
    assert named_periods([2.0] * 16, 64) == [2.0] * 16
    # 8 bits of a mantissa.
    assert 0 < np.abs(rounded / exact - 1).max() <= 2**-8


@pytest.mark.backend
def test_modes_views_and_a_saved_file_agree(tmp_path):
    model = small("vit_small_plus_patch16_dinov3_qkvb", rope_periods="bfloat16")
    images = images_of(model)
    logits, scores, _ = model(images)
    full = to_numpy(scores["sa_ffn_block_01_att"])
    assert full.shape == (2, 3, 20, 20)
    np.testing.assert_allclose(full.sum(axis=-1), 1, atol=1e-5)
    rows = model.with_attention("cls")(images)[1]["sa_ffn_block_01_att"]
    np.testing.assert_allclose(to_numpy(rows), full[:, :, :1], atol=1e-6)
    without = model.with_attention("none")(images)[0]
    np.testing.assert_allclose(to_numpy(without), to_numpy(logits), rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model.keras")
    again = kerasvit.from_pretrained(tmp_path / "model.keras")
    assert again.rope_periods == "bfloat16"
    np.testing.assert_allclose(to_numpy(again(images)[0]), to_numpy(logits), rtol=1e-5, atol=1e-5)
    assert not [weight.path for weight in again.weights if "rotary" in weight.path]
    assert model.token_layout().prefix == ("class", *(f"register_{i}" for i in range(4)))


@pytest.mark.backend
def test_half_precision_turns_in_whole_precision():
    model = small("vit_small_patch16_dinov3")
    images = images_of(model)
    half = small("vit_small_patch16_dinov3", dtype="mixed_bfloat16")
    exact = to_numpy(model(images)[1]["sa_ffn_block_00_att"])
    found = to_numpy(half(images)[1]["sa_ffn_block_00_att"]).astype("float32")
    assert np.abs(found - exact).max() < 0.05


@pytest.mark.backend
def test_every_kind_trains_a_step():
    for name, arguments in (
        ("vit_base_patch16_sapiens2", {"num_key_value_heads": 1, "full_head_blocks": 0}),
        ("vit_small_patch16_rope_mixed_224", {}),
        ("eva02_base_patch14_224", {}),
    ):
        model = small(name, **arguments)
        before = {weight.path: to_numpy(weight).copy() for weight in model.weights}
        model.compile(optimizer="sgd", loss=_loss())
        model.fit(images_of(model), np.array([1, 3]), verbose=0)
        moved = {path for path, value in before.items() if np.any(_at(model, path) != value)}
        assert {p for p in before if "rotary" in p or "qkv" in p or "_bias" in p} <= moved


def _loss():
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _at(model, path):
    return to_numpy(next(weight for weight in model.weights if weight.path == path))


def test_grouped_heads_are_repeated_ones():
    tokens = np.random.default_rng(2).normal(size=(2, 5, 24)).astype("float32")
    grouped = SelfAttention(6, num_key_value_heads=2)
    whole = SelfAttention(6)
    for layer in (grouped, whole):
        layer.build((None, 5, 24))
    random = np.random.default_rng(3)
    for weight in grouped.weights:
        weight.assign(random.normal(size=weight.shape))
    kernel, bias = (to_numpy(one) for one in (grouped.qkv.kernel, grouped.qkv.bias))

    def repeated(array):
        query, key, value = np.split(array, (24, 32), axis=-1)
        heads = [part.reshape(*part.shape[:-1], 2, 1, 4) for part in (key, value)]
        wide = [np.repeat(part, 3, axis=-2).reshape(*part.shape[:-3], 24) for part in heads]
        return np.concatenate([query, *wide], axis=-1)

    whole.qkv.kernel.assign(repeated(kernel))
    whole.qkv.bias.assign(repeated(bias))
    whole.projection.set_weights(grouped.projection.get_weights())
    for rows in (None, 1):
        for found, wanted in zip(
            grouped(tokens, score_rows=rows), whole(tokens, score_rows=rows), strict=True
        ):
            np.testing.assert_allclose(to_numpy(found), to_numpy(wanted), atol=1e-5)


def test_keys_without_a_bias_are_keys_with_one_of_zeros():
    tokens = np.random.default_rng(2).normal(size=(2, 5, 24)).astype("float32")
    own, joint = SelfAttention(3, use_key_bias=False), SelfAttention(3)
    for layer in (own, joint):
        layer.build((None, 5, 24))
    joint.qkv.kernel.assign(own.qkv.kernel)
    joint.projection.set_weights(own.projection.get_weights())
    random = np.random.default_rng(3)
    query, value = random.normal(size=(2, 24))
    own.query_bias.assign(query)
    own.value_bias.assign(value)
    joint.qkv.bias.assign(np.concatenate([query, np.zeros(24), value]))
    for found, wanted in zip(own(tokens), joint(tokens), strict=True):
        np.testing.assert_allclose(to_numpy(found), to_numpy(wanted), atol=1e-6)


def test_attention_pooling_reads_the_class_token_too():
    model = small("vit_pe_core_base_patch16_224", hidden_dim=48, pooling_heads=4)
    scores = model(images_of(model))[2]["ca_pooling_block_00_att"]
    layout = model.token_layout(stage="ca")
    assert tuple(scores.shape) == (2, 4, 1, 16)
    assert (layout.prefix, layout.has_learned_query) == (("class",), True)


@pytest.mark.parametrize(
    "method", ["attention", "rollout", "gradcam", "relevance", "lost", "tokencut"]
)
def test_maps_of_a_rotary_model(method):
    model = small("vit_small_patch16_dinov3_qkvb")
    values = explain(model, images_of(model)[:1], method).values
    assert values.shape == (1, *GRID)
    assert np.isfinite(values).all()


def test_maps_without_a_class_token_and_with_grouped_heads():
    for name, arguments in (
        ("vit_medium_patch16_rope_reg1_gap_256", {}),
        ("vit_base_patch16_sapiens2", {"num_key_value_heads": 1, "full_head_blocks": 0}),
    ):
        model = small(name, **arguments)
        for method in ("rollout", "lost"):
            assert explain(model, images_of(model)[:1], method).values.shape == (1, *GRID)


def test_there_are_no_learned_positions_to_compare():
    with pytest.raises(kerasvit.errors.UsageError, match="Learned positions are compared"):
        position_similarity(small("vit_small_patch16_dinov3"))
