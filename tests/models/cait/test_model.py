"""What is CaiT's own: two stages, head mixing, a class token that joins late."""

import keras
import numpy as np
import pytest


@pytest.mark.backend
def test_scores_before_and_after_the_head_mixing(tools, models, images):
    model = models["CaiT"]
    logits, mixed, class_scores = tools.run(model, images)
    view = model.with_attention("full", scores_before_mixing=True)
    same_logits, probabilities, same_class_scores = tools.run(view, images)
    tools.assert_close((same_logits, same_class_scores), (logits, class_scores))
    for block in model.blocks:
        key = f"{block.name}_att"
        mixing = block.attention.mixing_after
        kernel, bias = map(keras.ops.convert_to_numpy, (mixing.kernel, mixing.bias))
        expected = np.einsum("bhqk,hg->bgqk", probabilities[key], kernel) + bias[:, None, None]
        tools.assert_close(mixed[key], expected, 1e-5)
        np.testing.assert_allclose(probabilities[key].sum(axis=-1), 1, atol=1e-6)
        assert np.abs(mixed[key].sum(axis=-1) - 1).max() > 0.1


def test_the_class_token_joins_after_the_self_attention(tools, images):
    model = tools.make("CaiT")
    logits, sa_scores, ca_scores = tools.run(model, images)
    model.class_token.tokens.assign(np.ones((1, 1, 12)))
    changed, same_sa_scores, changed_ca_scores = tools.run(model, images)
    tools.assert_close(same_sa_scores, sa_scores, 0)
    assert np.abs(changed - logits).max() > 1e-3
    for key, scores in ca_scores.items():
        assert np.abs(changed_ca_scores[key] - scores).max() > 1e-3


def test_the_position_embedding_has_no_place_for_the_class_token(models):
    assert tuple(models["CaiT"].position.embedding.shape) == (1, 6, 12)


def test_the_class_stage_has_no_stochastic_depth_and_no_dropout(tools):
    rates = {"drop_path_rate": 0.3, "dropout_rate": 0.2, "attention_dropout_rate": 0.1}
    model = tools.make("CaiT", **rates)
    for block in model.blocks:
        assert {name: getattr(block, name) for name in rates} == rates
    for block in model.class_blocks:
        assert {getattr(block, name) for name in rates} == {0.0}


@pytest.mark.backend
def test_dropouts_act_in_training_alone(tools, images):
    rates = dict.fromkeys(("dropout_rate", "attention_dropout_rate", "drop_path_rate"), 0.5)
    model = tools.make("CaiT", num_layers=2, **rates)
    at_rest = tools.run(model, images)[0]
    tools.assert_close(tools.run(model, images, training=False)[0], at_rest, 0)
    training = tools.run(model, images, training=True)[0]
    assert np.abs(training - at_rest).max(axis=1).min() > 1e-3
    for block in model.blocks:
        assert block.attention.attention_dropout.rate == 0.5
        assert block.attention.output_dropout.rate == block.mlp.dropout.rate == 0.5
    assert model.position_dropout.rate == model.blocks[-1].mlp_drop.rate == 0.5


def test_layouts_of_both_stages(models):
    sa_layout = models["CaiT"].token_layout()
    ca_layout = models["CaiT"].token_layout(stage="ca")
    assert (sa_layout.prefix, ca_layout.prefix) == ((), ("class",))
    assert sa_layout.grid == ca_layout.grid == (2, 3)
    with pytest.raises(ValueError, match="stage must be") as error:
        models["CaiT"].token_layout(stage="class")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("num_class_layers", [0, -1])
def test_a_class_block_is_needed_to_read_the_patches(tools, num_class_layers):
    with pytest.raises(ValueError, match="num_class_layers must be"):
        tools.make("CaiT", num_class_layers=num_class_layers)
