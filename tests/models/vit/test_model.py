"""What is VisionTransformer's own: prefix tokens, heads, poolings, stochastic depth by block."""

import keras
import numpy as np
import pytest

from kerasvit.layers.position_resampling import resample_grid


def _array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _without_blocks(tools, **arguments):
    """A model whose blocks change nothing, so that the features are the normalised tokens."""
    model = tools.make("ViT", **arguments)
    for block in model.blocks:
        block.attention_scale.gamma.assign(np.zeros(12))
        block.mlp_scale.gamma.assign(np.zeros(12))
    return model


def _normalised(tokens, norm):
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return centred / deviation * _array(norm.gamma) + _array(norm.beta)


TOKENS = {
    "class": ({}, ("class",)),
    "distilled": ({"use_distillation_token": True}, ("class", "distillation")),
    "registers": ({"num_registers": 2}, ("class", "register_0", "register_1")),
    "all": (
        {"use_distillation_token": True, "num_registers": 1},
        ("class", "distillation", "register_0"),
    ),
}


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("position_embedding", ["all", "patches"])
@pytest.mark.parametrize(("height", "width"), [(16, 24), (8, 48)])
def test_tokens_stand_in_the_order_of_the_layout(tools, name, position_embedding, height, width):
    """Prefix tokens first, then patches row by row, each with the position that is its own."""
    arguments, prefix = TOKENS[name]
    model = _without_blocks(tools, position_embedding=position_embedding, **arguments)
    images = tools.random_images(2, height, width)
    learned = [_array(model.class_token.tokens)]
    if "distillation" in prefix:
        learned.append(_array(model.distillation_token.tokens))
    if model.num_registers:
        learned.append(_array(model.registers.tokens))
    learned = np.concatenate(learned, axis=1)
    stored = _array(model.position.embedding)
    slots = len(prefix) if position_embedding == "all" else 0
    assert stored.shape == (1, slots + 6, 12)
    learned[:, :slots] += stored[:, :slots]
    grid = (height // 8, width // 8)
    positions = resample_grid(stored[0, slots:].reshape(2, 3, 12), grid, "bicubic_antialias")
    patches = _array(model.patch_embedding(images)) + positions.reshape(1, -1, 12)
    tokens = np.concatenate([np.repeat(learned, 2, axis=0), patches], axis=1)
    tools.assert_close(
        _array(model.forward_features(images)), _normalised(tokens, model.norm), 1e-5
    )
    layout = model.token_layout((height, width))
    assert (layout.prefix, layout.grid) == (prefix, grid)
    layout.check(tokens.shape[1])


def test_a_pre_norm_acts_before_the_blocks_and_replaces_the_patch_bias(tools, images):
    model = _without_blocks(tools, use_pre_norm=True)
    assert model.patch_embedding.projection.bias is None
    tokens = np.concatenate(
        [
            np.repeat(_array(model.class_token.tokens), 2, axis=0),
            _array(model.patch_embedding(images)),
        ],
        axis=1,
    )
    tokens = _normalised(tokens + _array(model.position.embedding), model.pre_norm)
    expected = _normalised(tokens, model.norm)
    tools.assert_close(_array(model.forward_features(images)), expected, 1e-5)


@pytest.mark.parametrize("num_classes", [0, 5])
@pytest.mark.parametrize(
    ("pooling", "norm_after_pooling"),
    [("class", None), ("class", True), ("average", None), ("average", False), ("average", True)],
)
def test_pooling_and_the_place_of_the_last_norm(
    tools, images, pooling, norm_after_pooling, num_classes
):
    arguments = {"pooling": pooling, "norm_after_pooling": norm_after_pooling}
    model = tools.make("ViT", num_registers=2, num_classes=num_classes, **arguments)
    after = pooling == "average" if norm_after_pooling is None else norm_after_pooling
    tokens = _array(model.forward_features(images))
    pooled = tokens[:, 0] if pooling == "class" else tokens[:, 3:].mean(axis=1)
    pooled = _normalised(pooled, model.norm) if after else pooled
    expected = _array(model.head(pooled)) if num_classes else pooled
    tools.assert_close(tools.run(model, images)[0], expected, 1e-5)


@pytest.mark.backend
def test_the_two_heads_of_a_distilled_model_are_averaged_or_returned_both(tools, models, images):
    model = models["distilled"]
    both_heads = model.with_attention("full", distillation_output="both")
    average, *scores = tools.run(model, images)
    both, *same_scores = tools.run(both_heads, images)
    assert both.shape == (2, 2, 5)
    tools.assert_close(both.mean(axis=1), average)
    tools.assert_close(same_scores, scores)
    features = _array(model.forward_features(images))
    for index, head in enumerate((model.head, model.distillation_head)):
        tools.assert_close(both[:, index], _array(head(features[:, index])), 1e-5)
    assert both_heads.get_config()["distillation_output"] == "both"


def test_the_rows_of_a_distilled_model_are_those_of_both_tokens(tools, models, images):
    full = tools.run(models["distilled"], images)[1]
    rows = tools.run(models["distilled"].with_attention("cls"), images)[1]
    for key, scores in rows.items():
        assert scores.shape == (2, 3, 2, 8)
        tools.assert_close(scores, full[key][:, :, :2])


def test_stochastic_depth_grows_linearly_from_block_to_block(tools):
    model = tools.make("ViT", num_layers=4, drop_path_rate=0.3)
    rates = [block.drop_path_rate for block in model.blocks]
    np.testing.assert_allclose(rates, [0, 0.1, 0.2, 0.3])
    assert [block.drop_path_rate for block in tools.make("ViT", num_layers=1).blocks] == [0]


@pytest.mark.backend
def test_dropouts_act_in_training_alone(tools, images):
    rates = dict.fromkeys(("dropout_rate", "attention_dropout_rate", "drop_path_rate"), 0.5)
    model = tools.make("ViT", num_layers=2, **rates)
    at_rest = tools.run(model, images)[0]
    tools.assert_close(tools.run(model, images, training=False)[0], at_rest, 0)
    training = tools.run(model, images, training=True)[0]
    assert np.abs(training - at_rest).max(axis=1).min() > 1e-3
    for block in model.blocks:
        assert block.attention.attention_dropout.rate == 0.5
        assert block.attention.output_dropout.rate == block.mlp.dropout.rate == 0.5
    assert model.position_dropout.rate == model.blocks[-1].mlp_drop.rate == 0.5


@pytest.mark.parametrize("stage", ["ca", "other"])
def test_a_vit_has_no_class_attention_stage(models, stage):
    with pytest.raises(ValueError, match="A ViT has self-attention scores") as error:
        models["ViT"].token_layout(stage=stage)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "token"}, "pooling must be one of"),
        ({"block_type": "other"}, "block_type must be one of"),
        ({"attention_type": "cross"}, "attention_type must be one of"),
        ({"norm_type": "batch"}, "norm_type must be one of"),
        ({"use_class_token": False}, "needs the class token"),
        (
            {"use_class_token": False, "pooling": "average", "attention": "cls"},
            "returns the rows of a class token",
        ),
        ({"head_blocks": 0}, "head_blocks must be"),
        ({"head_blocks": 99}, "at most num_layers"),
        ({"head_blocks": 2, "pooling": "average"}, "reads several tokens"),
        ({"head_interleaved": True}, "needs one class token and the patch mean"),
        ({"position_embedding": "some"}, "position_embedding must be one of"),
        ({"rope_offset": 1.0}, "not rotary without a rope_type"),
        ({"rope_type": "spiral"}, "rope_type must be one of"),
        ({"rope_type": "pe", "rope_periods": "bfloat16"}, 'Periods are of rope_type="dinov3"'),
        ({"rope_type": "dinov3", "rope_periods": "half"}, "rotary periods must be"),
        ({"rope_type": "dinov3", "rope_periods": [1.0, -2.0, 3.0]}, "positive numbers"),
        ({"rope_type": "axial", "rope_reference_grid": 0}, "rope_reference_grid must be"),
        ({"rope_type": "axial", "attention_type": "differential"}, "ordinary self-attention"),
        ({"rope_type": "mixed", "num_key_value_heads": 1}, "share no keys"),
        ({"num_key_value_heads": 5}, "num_key_value_heads must divide num_heads"),
        ({"block_type": "parallel", "use_mlp_layer_scale": False}, "no LayerScale of an MLP"),
        ({"distillation_output": "sum"}, "distillation_output must be one of"),
        ({"distillation_output": "both"}, "needs the second head"),
        ({"use_distillation_token": True, "pooling": "average"}, "pools nothing"),
        ({"use_distillation_token": True, "norm_after_pooling": True}, "pools nothing"),
        ({"num_registers": -1}, "num_registers must be"),
        ({"mlp_type": "mixture"}, "mlp_type must be one of"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(tools, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        tools.make("ViT", **arguments)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)


def test_a_second_head_that_is_not_there_cannot_be_asked_for(models):
    with pytest.raises(ValueError, match="needs the second head"):
        models["ViT"].with_attention("full", distillation_output="both")
