"""Blocks, attentions and poolings beyond the plain ViT: scores, modes, files, gradients, heads."""

import keras
import numpy as np
import pytest

from kerasvit.models import VisionTransformer

GAP = {"use_class_token": False, "pooling": "average"}
VARIATIONS = {
    "post_norm": {"block_type": "post_norm", "norm_type": "rms"},
    "parallel": {"block_type": "parallel", "use_qk_norm": True, "use_pre_norm": True},
    "branched": {"block_type": "branched", "use_sub_norm": True},
    "differential": {"attention_type": "differential", "hidden_dim": 24},
    "both": {"block_type": "parallel", "attention_type": "differential", "hidden_dim": 24},
    "average": {**GAP, "num_registers": 2, "use_patch_norm": True, "use_projection_bias": False},
    "attention": {**GAP, "pooling": "attention", "num_registers": 1},
    "attention over all": {"pooling": "attention", "pool_prefix": True, "use_final_norm": False},
    "linear head": {"head_blocks": 2, "head_patch_mean": True},
}


@pytest.fixture(scope="module", params=VARIATIONS)
def model(request, tools):
    return tools.make("ViT", **{"num_layers": 2, **VARIATIONS[request.param]})


@pytest.mark.backend
def test_the_modes_agree_and_scores_are_never_missing_in_silence(tools, images, model):
    logits, sa_scores, ca_scores = tools.run(model, images)
    length = model.token_layout().num_tokens
    heads = 6 if model.block_type == "branched" else 3
    assert list(sa_scores) == ["sa_ffn_block_00_att", "sa_ffn_block_01_att"]
    assert all(scores.shape == (2, heads, length, length) for scores in sa_scores.values())
    assert bool(ca_scores) == (model.pooling == "attention")
    plain = tools.run(model.with_attention("none"), images)
    tools.assert_close(plain, (logits, {}, {}), 1e-5)
    if not model.use_class_token and model.pooling != "attention":
        with pytest.raises(ValueError, match="rows of a class token"):
            model.with_attention("cls")
        return
    rows = {key: scores[:, :, :1] for key, scores in sa_scores.items()}
    expected = (logits, rows if model.use_class_token else {}, ca_scores)
    tools.assert_close(tools.run(model.with_attention("cls"), images), expected, 1e-5)


def test_rows_of_probabilities_sum_to_one(tools, images, model):
    _, sa_scores, ca_scores = tools.run(model, images)
    for block, scores in zip(model.blocks, sa_scores.values(), strict=True):
        total = 1.0
        if model.attention_type == "differential":
            total -= float(keras.ops.convert_to_numpy(block.attention.current_lambda()))
        np.testing.assert_allclose(scores.sum(axis=-1), total, atol=1e-5)
    for scores in ca_scores.values():
        assert scores.shape == (2, 3, 1, model.token_layout(stage="ca").num_tokens)
        np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-5)


def test_a_file_brings_it_back(tools, images, model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert tools.same_weights(loaded, model)
    tools.assert_close(tools.run(loaded, images), tools.run(model, images))


def test_taps_have_the_shape_of_what_they_touch(tools, images, model):
    places = [f"{block.name}_att" for block in model.all_blocks()]
    zeros = {place: np.zeros(model.tap_shape(place, images.shape), "float32") for place in places}
    logits, found = model.call_with_taps(images, zeros)
    expected = tools.run(model, images)
    tools.assert_close(keras.ops.convert_to_numpy(logits), expected[0], 1e-5)
    for place, scores in {**expected[1], **expected[2]}.items():
        tools.assert_close(keras.ops.convert_to_numpy(found[place]), scores, 1e-5)


def test_a_branched_block_has_no_tokens_to_tap(tools, images):
    model = tools.make("ViT", block_type="branched")
    with pytest.raises(ValueError, match="reads normalised tokens of its own"):
        model.call_with_taps(images, {"sa_ffn_block_00_tokens": None})


def test_the_gains_of_a_post_norm_start_small():
    model = VisionTransformer(
        image_shape=(16, 16, 3),
        hidden_dim=12,
        num_layers=1,
        num_heads=3,
        mlp_dim=20,
        block_type="post_norm",
        layer_scale_init_value=0.25,
    )
    for norm in (model.blocks[0].attention_norm, model.blocks[0].mlp_norm):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(norm.gamma), 0.25)


@pytest.mark.parametrize("pooling", ["average", "max", "average_max"])
@pytest.mark.parametrize("pool_prefix", [True, False])
def test_poolings_over_the_tokens(tools, images, pooling, pool_prefix):
    model = tools.make("ViT", pooling=pooling, pool_prefix=pool_prefix, norm_after_pooling=False)
    tokens = keras.ops.convert_to_numpy(model.forward_features(images))
    tokens = tokens if pool_prefix else tokens[:, 1:]
    mean, largest = tokens.mean(axis=1), tokens.max(axis=1)
    pooled = {"average": mean, "max": largest, "average_max": (mean + largest) / 2}[pooling]
    weights = map(keras.ops.convert_to_numpy, (model.head.kernel, model.head.bias))
    kernel, bias = weights
    tools.assert_close(tools.run(model, images)[0], pooled @ kernel + bias, 1e-5)


@pytest.mark.parametrize(
    "head",
    [
        {"head_blocks": 3},
        {"head_blocks": 2, "head_patch_mean": True},
        {"head_patch_mean": True, "head_interleaved": True},
    ],
)
def test_a_linear_head_reads_what_was_published(tools, images, head):
    """DINO's eval_linear.py and DINOv2's classifiers.py, written out in NumPy."""
    model = tools.make("ViT", **head)
    places = [f"{block.name}_output" for block in model.blocks]
    _, found = model.call_with_taps(images, dict.fromkeys(places))
    last = places[-head.get("head_blocks", 1) :]
    tokens = [keras.ops.convert_to_numpy(model.norm(found[place])) for place in last]
    parts = [one[:, 0] for one in tokens]
    if head.get("head_patch_mean"):
        parts.append(tokens[-1][:, 1:].mean(axis=1))
    axis = -1 if head.get("head_interleaved") else 1
    features = np.stack(parts, axis=axis).reshape(2, -1)
    kernel, bias = map(keras.ops.convert_to_numpy, (model.head.kernel, model.head.bias))
    tools.assert_close(tools.run(model, images)[0], features @ kernel + bias, 1e-5)
    if model.head_blocks > 1:
        with pytest.raises(ValueError, match="reads several blocks"):
            model.read_out(found[places[0]])
